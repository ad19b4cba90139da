"""Writing one network in every form that a target needs."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from export.attention import AttentionForm
from export.errors import ExportError
from export.fp16 import Fp16Network
from export.graph import TOLERANCE, count_nodes, largest_difference, outputs_of, write_graph
from export.plans import PLAN, STAMP, Plans, PlanSource
from export.repository import Transaction

GRAPH = "model.onnx"
FP16_GRAPH = "model_fp16.onnx"
FP16_TOLERANCE = 0.05
"""For embeddings, whose values are a few units, and probabilities: above rounding errors, below those of a mistake."""


class Exporter:
    """Writes networks into a transaction: float32 always, fp16 if `fp16` is set, TensorRT plans if `plans` is given.

    Graphs to quantize go into the folder `to_quantize`, as MODEL.onnx, if it is given.
    """

    def __init__(
        self,
        transaction: Transaction,
        report: Callable[[str], None],
        *,
        fp16: bool,
        plans: Plans | None,
        to_quantize: Path | None = None,
    ) -> None:
        self._transaction = transaction
        self._report = report
        self._fp16 = fp16
        self._plans = plans
        self._to_quantize = to_quantize

    def write(
        self,
        network: nn.Module,
        model: str,
        input_name: str,
        output_names: list[str],
        example: torch.Tensor,
        *,
        lengths: tuple[int, int] | None = None,
        relative: bool = False,
    ) -> None:
        """Write `network` in all forms of the target, and remove other forms of an earlier export.

        `example` is a batch of two or more. With `lengths`, the second axis of the input may have any length between
        these two, and no plan is written. With `relative`, tolerances are shares of the largest output. The network is
        converted in place: do not use it afterwards.
        """
        plans_wanted = None if lengths else self._plans
        parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        self._report(f"{model}: writing {parameters:.1f} M parameters as ONNX")
        # One row, but graphs are traced with more: this also checks that the first axis is dynamic.
        expected = outputs_of(network, example[:1])
        unit = max(float(np.abs(output).max()) for output in expected) if relative else 1.0

        def graph(path: Path) -> None:
            write_graph(network, example, path, input_name=input_name, output_names=output_names, lengths=lengths)

        def checked(name: str, tolerance: float) -> None:
            started = time.monotonic()
            path = self._transaction.stage(f"{model}/1/{name}")
            graph(path)
            difference = largest_difference(expected, path, example[:1], tolerance * unit)
            seconds = time.monotonic() - started
            self._report(f"{model}: {name} differs from PyTorch by {difference:.1e}, {seconds:.0f} s")

        checked(GRAPH, TOLERANCE)
        fp16 = network if self._fp16 and isinstance(network, Fp16Network) else None
        plans = plans_wanted if fp16 else None
        rows = outputs_of(network, example) if plans else []
        form = AttentionForm.OPENVINO_8_BITS
        if self._to_quantize and isinstance(network, Fp16Network) and network.use_attention(form):
            path = self._to_quantize / f"{model}.onnx"
            graph(path)
            largest_difference(expected, path, example[:1], TOLERANCE * unit)
        if fp16:
            fp16.to_fp16()
        if fp16 and plans:
            layers = fp16.use_attention(plans.attention)
            with tempfile.TemporaryDirectory() as directory:
                plain = Path(directory, GRAPH)
                graph(plain)
                tolerance = FP16_TOLERANCE * unit
                largest_difference(expected, plain, example[:1], tolerance)
                source = PlanSource(plain, input_name, output_names[0], layers, example.numpy(), rows[0], tolerance)
                plans.write(source, model)
        else:
            self._remove(model, PLAN, STAMP)
        if fp16:
            layers = fp16.use_attention(AttentionForm.ONNX_RUNTIME)
            checked(FP16_GRAPH, FP16_TOLERANCE)
            fused = count_nodes(self._transaction.staged(f"{model}/1/{FP16_GRAPH}"), "MultiHeadAttention")
            if fused != layers:
                raise ExportError(f"{model}: only {fused} of {layers} attention layers became one ONNX node")
        else:
            self._remove(model, FP16_GRAPH)

    def _remove(self, model: str, *names: str) -> None:
        for name in names:
            self._transaction.remove(f"{model}/1/{name}")
