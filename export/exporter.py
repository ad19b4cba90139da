"""One network, in every form that a target needs."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from export.errors import ExportError
from export.fp16 import Halvable
from export.graph import TOLERANCE, count_nodes, largest_difference, outputs_of, write_graph
from export.plans import PLAN, STAMP, Plans
from export.repository import Transaction

GRAPH = "model.onnx"
HALF_GRAPH = "model_fp16.onnx"
HALF_TOLERANCE = 0.05
"""Of an embedding, whose values are a few units, or of a probability: a mistake is further off than rounding is."""


class Exporter:
    """Writes networks into a transaction: float32 always; with `half`, fp16 as well; with `plans`, TensorRT's too."""

    def __init__(
        self, transaction: Transaction, report: Callable[[str], None], *, half: bool, plans: Plans | None
    ) -> None:
        self._transaction = transaction
        self._report = report
        self._half = half
        self._plans = plans

    def write(
        self, network: nn.Module, model: str, input_name: str, output_names: list[str], example: torch.Tensor
    ) -> None:
        """Write `network` in all forms that are wanted, and remove those of an earlier export that are not.

        `example` is a batch of two or more. The network is of no further use.
        """
        parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        self._report(f"{model}: writing {parameters:.1f} M parameters as ONNX")
        # One row, where graphs are traced with more: this also shows that the first axis is dynamic.
        expected = outputs_of(network, example[:1])

        def graph(path: Path) -> None:
            write_graph(network, example, path, input_name=input_name, output_names=output_names)

        def checked(name: str, tolerance: float) -> None:
            started = time.monotonic()
            path = self._transaction.stage(f"{model}/1/{name}")
            graph(path)
            difference = largest_difference(expected, path, example[:1], tolerance)
            seconds = time.monotonic() - started
            self._report(f"{model}: {name} is {difference:.1e} from PyTorch on the same input, {seconds:.0f} s")

        checked(GRAPH, TOLERANCE)
        half = network if self._half and isinstance(network, Halvable) else None
        if half:
            half.to_half()
        if half and self._plans is not None:
            with tempfile.TemporaryDirectory() as directory:
                plain = Path(directory, GRAPH)
                graph(plain)
                largest_difference(expected, plain, example[:1], HALF_TOLERANCE)
                self._plans.write(plain, model, input_name, tuple(example.shape[1:]))
        else:
            self._remove(model, PLAN, STAMP)
        if half:
            layers = half.fuse_attention()
            checked(HALF_GRAPH, HALF_TOLERANCE)
            fused = count_nodes(self._transaction.staged(f"{model}/1/{HALF_GRAPH}"), "MultiHeadAttention")
            if fused != layers:
                raise ExportError(f"{model}: attention is one node in {fused} of {layers} layers")
        else:
            self._remove(model, HALF_GRAPH)

    def _remove(self, model: str, *names: str) -> None:
        for name in names:
            self._transaction.remove(f"{model}/1/{name}")
