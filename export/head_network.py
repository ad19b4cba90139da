"""A trained head, read from its directory and written as ONNX."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from export.errors import ExportError
from export.graph import largest_difference, outputs_of, write_graph
from training.heads.saved import HeadConfig, SavedHead

INPUT, OUTPUT = "EMBEDDINGS", "PROBABILITIES"
LENGTHS = (1, 2, 7, 16, 256)
"""Numbers of frames, or segments, for which the graph is compared with PyTorch."""
NETWORKS = {"frames": "frames", "segments": "motion"}
"""The network whose embeddings a head takes, as a key of `weights.json`."""


def refuse_other_encoder(config: HeadConfig, weights: Mapping[str, str], what: str) -> None:
    """Raise `ExportError` unless `weights`, by network, have the encoder that the head `what` learned from."""
    served = weights.get(NETWORKS[config.on])
    if served is None:
        raise ExportError(f"{what} needs embeddings of {config.on} by {config.encoder_weights}, which is not exported")
    if served != config.encoder_weights:
        raise ExportError(
            f"{what} learned from embeddings of {config.on} by {config.encoder_weights}, not by {served}: "
            "train it again on embeddings of the latter"
        )


def example_embeddings(head: SavedHead, frames: int) -> torch.Tensor:
    """Random embeddings (frames, width) float32, distributed like those that the head learned from."""
    noise = torch.randn(frames, head.config.width, generator=torch.Generator().manual_seed(0))
    return head.head.mean + noise / head.head.scale


def write_head(head: SavedHead, path: Path) -> float:
    """Write a head as one ONNX file: EMBEDDINGS float32 (frames, width) to PROBABILITIES float32 (1, labels).

    The number of frames is dynamic. Returns the largest absolute difference from PyTorch; `ExportError` if it is above
    `export.graph.TOLERANCE` for any of `LENGTHS`.
    """
    if head.config.kind == "lstm":
        # PyTorch 2.13 makes the number of frames a constant in every LSTM of a process but the first.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            process.submit(_write, head, path).result()
    else:
        _write(head, path)
    examples = [example_embeddings(head, frames) for frames in LENGTHS]
    return max(largest_difference(outputs_of(head, each), path, each) for each in examples)


def _write(head: SavedHead, path: Path) -> None:
    write_graph(head, example_embeddings(head, 3), path, input_name=INPUT, output_names=[OUTPUT])
