"""TensorRT plans in a model repository: rebuilt only if the network, the GPU or TensorRT has changed."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from export.repository import Transaction
from export.tensorrt import ShapeProfile, find_builder, name_of_gpu, stamp_of

OPTIMUM_BATCH, MAXIMUM_BATCH = 16, 32
"""The smaller preferred batch of configs/tensorrt.pbtxt, and its max_batch_size."""
BATCHES = {"frame_encoder": (64, 256)}
"""Networks with other batches than these two."""
PLAN, STAMP = "model.plan", "model.plan.json"


class Plans:
    """Builds the plans of a model repository; `ExportError` if this machine has no TensorRT or no GPU."""

    def __init__(self, transaction: Transaction, report: Callable[[str], None]) -> None:
        self._transaction = transaction
        self._report = report
        self._builder = find_builder()
        self._gpu = name_of_gpu()
        report(f"plans: for {self._gpu}, with TensorRT {self._builder.version}")

    def write(self, onnx: Path, model: str, input_name: str, sample: tuple[int, ...]) -> None:
        """Write the plan of an ONNX file whose input is a batch of `sample`s, unless the present one is up to date."""
        profile = ShapeProfile(input_name, sample, *BATCHES.get(model, (OPTIMUM_BATCH, MAXIMUM_BATCH)))
        stamp = stamp_of(onnx, profile, self._gpu, self._builder).content()
        root = self._transaction.root
        if (root / model / "1" / PLAN).is_file() and _read(root / model / "1" / STAMP) == stamp:
            self._report(f"{model}: the plan is up to date")
            return
        started = time.monotonic()
        self._report(f"{model}: building the plan, which takes minutes")
        self._builder.build(onnx, self._transaction.stage(f"{model}/1/{PLAN}"), profile)
        self._transaction.stage_json(f"{model}/1/{STAMP}", stamp)
        self._report(f"{model}: built in {time.monotonic() - started:.0f} s")


def _read(stamp: Path) -> object:
    try:
        return json.loads(stamp.read_text())
    except (OSError, ValueError):
        return None
