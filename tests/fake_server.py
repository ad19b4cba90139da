"""`python -m tests.fake_server NOTES`: a gRPC server in a process of its own, whose scores tell videos apart.

It prints its port, and writes a line into NOTES for each request: `begin NUMBER IN_FLIGHT`, `end NUMBER` or
`full NUMBER`. A video is the text `video NUMBER`; its camera movement score is NUMBER. Anything else is no video. It
ends when its standard input does.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from server.ports import LOOPBACK
from tests.fake_triton import OUTPUTS

ROOT = Path(__file__).parent.parent


def content(number: int) -> bytes:
    """The video of this number."""
    return f"video {number}".encode()


@dataclass(frozen=True)
class FakeServer:
    """One that is listening."""

    process: subprocess.Popen[str]
    """Its process."""
    url: str
    """Its host and port."""
    notes: Path
    """What it was asked."""

    def asked(self, what: str = "begin") -> list[int]:
        """The numbers of the videos of this kind of note, in order."""
        return [int(line.split()[1]) for line in self.notes.read_text().splitlines() if line.startswith(what)]

    @property
    def most_in_flight(self) -> int:
        """The most requests that it had at once."""
        begun = [line.split() for line in self.notes.read_text().splitlines() if line.startswith("begin")]
        return max((int(line[2]) for line in begun), default=0)


@contextmanager
def fake_server(notes: Path, *options: object) -> Iterator[FakeServer]:
    """Start one; the options are those of the command line."""
    command = [sys.executable, "-m", "tests.fake_server", str(notes), *map(str, options)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield FakeServer(process, f"localhost:{port}", notes)
        finally:
            process.kill()


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, notes: Path, seconds: float, queue: int, motion: str) -> None:
        self._notes = notes.open("a", buffering=1)
        self._seconds = seconds
        self._queue = queue
        self._in_flight = 0
        weights = json.dumps({"motion": motion, "camera": "b@2", "precision": "f32", "labels": ["left", "right"]})
        self._weights = len(weights).to_bytes(4, "little") + weights.encode()

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        video = request.raw_input_contents[0]
        number = 0
        if request.model_name in ("video_motion", "video_signals"):
            number = await self._decode(video, context)
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        own = {"MOTION_SCORES": np.array([[number, 1, 1.5]], np.float32).tobytes(), "WEIGHTS": self._weights}
        for output in request.outputs:
            kind, shape, data = OUTPUTS[output.name]
            answer.outputs.add(name=output.name, datatype=kind, shape=shape)
            answer.raw_output_contents.append(own.get(output.name, data))
        return answer

    async def _decode(self, video: bytes, context: Any) -> int:
        word, _, digits = video.partition(b" ")
        number = int(digits) if digits.isdigit() else -1
        if self._in_flight >= self._queue:
            self._notes.write(f"full {number}\n")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        self._in_flight += 1
        self._notes.write(f"begin {number} {self._in_flight}\n")
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._in_flight -= 1
        if word != b"video":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the file is not a video [not_a_video]")
        self._notes.write(f"end {number}\n")
        return number

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - gRPC's signature
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")


async def _serve(options: argparse.Namespace) -> None:
    server = grpc.aio.server()
    servicer = _Servicer(options.notes, options.seconds, options.queue, options.motion)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{LOOPBACK}:{options.port}")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(os.read, 0, 1)  # until whoever started it ends
    await server.stop(0)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long a video takes")
    parser.add_argument("--queue", type=int, default=1_000_000, help="videos at once; more are refused")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--motion", default="a@1", help="the weights of the motion network")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
