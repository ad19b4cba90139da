// node score.mjs VIDEO [HOST:PORT]
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [path, address = "localhost:8001"] = process.argv.slice(2);
const proto = loadSync(fileURLToPath(new URL("triton.proto", import.meta.url)), { keepCase: true, longs: Number });
const { GRPCInferenceService } = grpc.loadPackageDefinition(proto).inference;
const video = readFileSync(path);
const request = {
  model_name: "video_motion",
  id: basename(path), // names the video in the server's log
  inputs: [{ name: "VIDEO", datatype: "UINT8", shape: [1, video.length] }],
  raw_input_contents: [video],
  parameters: { fps: { double_param: 4 }, max_clips: { int64_param: 8 } },
  outputs: ["WEIGHTS", "MOTION_SCORES", "CAMERA_PROBABILITIES", "CLIP_SECONDS"].map((name) => ({ name })),
};
const floats = (bytes) => Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));

new GRPCInferenceService(address, grpc.credentials.createInsecure()).ModelInfer(request, (error, response) => {
  if (error) {
    console.error(`${error.code} ${error.details}`);
    process.exit(1);
  }
  // Outputs come in an order of their own; a BYTES element begins with its length.
  const raw = Object.fromEntries(response.outputs.map(({ name }, i) => [name, response.raw_output_contents[i]]));
  const { labels } = JSON.parse(raw.WEIGHTS.subarray(4, 4 + raw.WEIGHTS.readUInt32LE(0)).toString());
  const [probabilities, seconds] = [floats(raw.CAMERA_PROBABILITIES), floats(raw.CLIP_SECONDS)];
  const clips = Array.from({ length: seconds.length / 2 }, (_, i) => ({
    start_seconds: seconds[2 * i],
    end_seconds: seconds[2 * i + 1],
    labels: labels.filter((_, column) => probabilities[i * labels.length + column] >= 0.5),
  }));
  console.log(JSON.stringify({ scores: floats(raw.MOTION_SCORES), clips }));
});
