"""PyTorch to ONNX, and a comparison of both."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from export.errors import ExportError

# Users see three decimals of a score.
TOLERANCE = 1e-3


def write_graph(
    network: nn.Module,
    example: torch.Tensor,
    path: Path,
    *,
    input_name: str,
    output_names: list[str],
    lengths: tuple[int, int] | None = None,
) -> None:
    """Write `network` to `path` as one ONNX file whose first input axis is dynamic.

    `example` needs two or more rows: torch.export treats a dimension of 1 as a constant. With `lengths`, the second
    axis is dynamic, too, between these two.
    """
    axes = {0: torch.export.Dim("rows", min=1)}
    if lengths is not None:
        axes[1] = torch.export.Dim("length", min=lengths[0], max=lengths[1])
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=[input_name],
            output_names=output_names,
            dynamic_shapes=(axes,),
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.save(path, external_data=False)


def count_nodes(path: Path, operator: str) -> int:
    """The number of nodes of this type in the ONNX file at `path`."""
    return sum(node.op_type == operator for node in onnx.load(path, load_external_data=False).graph.node)


def outputs_of(network: nn.Module, example: torch.Tensor) -> list[NDArray[np.float32]]:
    """The outputs of `network` for `example`."""
    with torch.inference_mode():
        outputs = network(example)
    return [output.numpy() for output in ([outputs] if isinstance(outputs, torch.Tensor) else outputs)]


def largest_difference(
    expected: list[NDArray[np.float32]], path: Path, example: torch.Tensor, tolerance: float = TOLERANCE
) -> float:
    """The largest absolute difference between `expected` and the outputs of the ONNX file at `path` for `example`.

    Raises `ExportError` if it is above `tolerance`.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    difference = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
    if not difference <= tolerance:
        raise ExportError(f"{path.name} differs from PyTorch by {difference:.2g}, more than {tolerance}")
    return difference


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's progress output and warnings, but not its exceptions."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
