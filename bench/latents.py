"""The time of an autoencoder's latents on this CPU, as in the cpu profile: OpenVINO, float32, a frame at a time."""

import time
from pathlib import Path
from statistics import median

import openvino

from export.autoencoder_network import load_autoencoder
from export.graph import write_graph
from export.optional import noise
from export.source import open_source
from video.measures.picture_form import SIDE


def seconds_a_frame(source: str, directory: Path, rounds: int) -> float:
    """The median time of `rounds` frames, by the autoencoder of a `source` of the export.

    Its graph is left in `directory`.
    """
    graph = directory / "autoencoder.onnx"
    with open_source(source, "autoencoder") as checkpoint:
        network = load_autoencoder(checkpoint.directory).network
        write_graph(network, noise(2, SIDE, SIDE, 3), graph, input_name="FRAMES", output_names=["LATENTS"])
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(graph, "CPU", hints).create_infer_request()
    frame = noise(1, SIDE, SIDE, 3).numpy()
    request.infer(frame)  # allocates
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        request.infer(frame)
        seconds.append(time.perf_counter() - started)
    return median(seconds)
