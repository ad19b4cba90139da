"""TensorRT plans in a model repository: rebuilt only if the network, the GPU or TensorRT has changed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.attention import AttentionForm
from export.errors import PlanRejected
from export.plan_check import check_close, check_fused
from export.repository import Transaction
from export.tensorrt import ShapeProfile, attention_of, find_builder, name_of_gpu, stamp_of

OPTIMUM_BATCH, MAXIMUM_BATCH = 16, 32
"""The smaller preferred batch of configs/tensorrt.pbtxt, and its max_batch_size."""
BATCHES = {"frame_encoder": (64, 256), "frame_autoencoder": (16, 16)}
"""Networks with other batches than these two."""
PLAN, STAMP = "model.plan", "model.plan.json"


@dataclass(frozen=True)
class PlanSource:
    """What a plan is built of, and what it is compared with."""

    onnx: Path
    """The fp16 graph, with attention in the form `Plans.attention`."""
    input_name: str
    """Name of its only input, a batch of samples."""
    output_name: str
    """Name of its only output."""
    attention_layers: int
    """The number of layers with attention."""
    example: NDArray[np.uint8]
    """Some samples."""
    expected: NDArray[np.float32]
    """PyTorch's output in float32 for each of them."""
    tolerance: float
    """The largest difference of the plan's output from it."""


class Plans:
    """Builds the plans of a model repository; `ExportError` if this machine has no TensorRT or no GPU."""

    def __init__(self, transaction: Transaction, report: Callable[[str], None]) -> None:
        self._transaction = transaction
        self._report = report
        self._builder = find_builder()
        self._gpu = name_of_gpu()
        report(f"plans: for {self._gpu}, with TensorRT {self._builder.version}")

    @property
    def attention(self) -> AttentionForm:
        """The form of attention that this TensorRT fuses."""
        return attention_of(self._builder.release)

    def write(self, source: PlanSource, model: str) -> None:
        """Write and check a plan, unless the present one is up to date; `PlanRejected` if it is slow or wrong."""
        profile = ShapeProfile(source.input_name, source.example.shape[1:], *batches_of(model))
        stamp = stamp_of(source.onnx, profile, self._gpu, self._builder).content()
        root = self._transaction.root
        if (root / model / "1" / PLAN).is_file() and _read(root / model / "1" / STAMP) == stamp:
            self._report(f"{model}: the plan is up to date")
            return
        started = time.monotonic()
        self._report(f"{model}: building the plan, which takes minutes")
        plan = self._transaction.stage(f"{model}/1/{PLAN}")
        self._builder.build(source.onnx, plan, profile)
        self._report(f"{model}: built in {time.monotonic() - started:.0f} s")
        try:
            self._check(source, plan, model)
        except PlanRejected as error:
            raise PlanRejected(f"{model}, TensorRT {self._builder.version}, {self._gpu}: {error}") from error
        # Last: a plan with a stamp has passed the check.
        self._transaction.stage_json(f"{model}/1/{STAMP}", stamp)

    def _check(self, source: PlanSource, plan: Path, model: str) -> None:
        fused = check_fused(self._builder.layers(plan), source.attention_layers)
        differences = []
        # Kernels depend on the batch: the smallest, the usual and the largest.
        for batch in (1, *batches_of(model)):
            rows = np.arange(batch) % len(source.example)
            found = self._builder.run(plan, source.input_name, source.example[rows])
            differences.append(check_close(found[source.output_name], source.expected[rows], source.tolerance))
        self._report(
            f"{model}: {fused} kernels for attention in {source.attention_layers} layers, "
            f"the plan differs from PyTorch by {max(differences):.1e}"
        )


def batches_of(model: str) -> tuple[int, int]:
    """The batch that a model's plan is optimised for, and the largest."""
    return BATCHES.get(model, (OPTIMUM_BATCH, MAXIMUM_BATCH))


def _read(stamp: Path) -> object:
    try:
        return json.loads(stamp.read_text())
    except (OSError, ValueError):
        return None
