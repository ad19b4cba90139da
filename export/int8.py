"""The 8-bit forms of exported networks: calibrated, checked on videos that calibration did not see, and written."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino

from backends.precision import INT8_PRECISIONS, MAX_INT8_ERROR
from backends.rates import precision_hint
from export.calibration import Clips, VideoClips
from export.int8_answers import Answers, Values, read_network
from export.quantization import quantize, save_quantized
from export.repository import Transaction
from export.sensitivity import keep_in_float32, losses

Report = Callable[[str], None]
INT8_FILES = ("model_int8.xml", "model_int8.bin")
FIRST_SIZE = 8
"""Inputs that a network is calibrated on first; then twice as many, for as long as the error shrinks."""
SHRINKS = 0.9
"""More inputs are worth it if they bring the error below this share of what it was."""
SENSITIVITY_INPUTS = 4
"""On so many inputs it is measured what each product loses."""
KEPT_SHARES = (0.05, 0.1, 0.2, 0.4)
"""Shares of the products that may stay in float32, tried one after the other."""


@dataclass(frozen=True)
class Int8Network:
    """A network to quantize."""

    model: str
    """Its model in the repository."""
    inputs: Callable[[VideoClips], Clips]
    """Its inputs for a video, a row for each run."""
    answers: Answers
    """What its error is measured on."""
    transformer: bool
    """Whether it is one."""


class Int8Export:
    """Writes 8-bit forms into a transaction."""

    def __init__(
        self, transaction: Transaction, report: Report, seen: Sequence[VideoClips], unseen: Sequence[VideoClips]
    ) -> None:
        """`seen` are the videos to calibrate on, `unseen` those to check on; without any, no error is stated."""
        self._transaction = transaction
        self._report = report
        self._seen = seen
        self._unseen = unseen
        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._precisions = [each for each in INT8_PRECISIONS if each == "int8" or "BF16" in capabilities]

    def write(self, network: Int8Network) -> dict[str, Any]:
        """Quantize a network whose `model.onnx` is staged, and return what `weights.json` says of its 8-bit form."""
        started = time.monotonic()
        exact = read_network(self._transaction.staged(f"{network.model}/1/model.onnx"))
        inputs = np.concatenate([network.inputs(video) for video in self._seen])
        if self._unseen:
            check = _Check(network, exact, self._unseen)
            quantized, entry = self._calibrated(network, exact, inputs, check)
            entry["errors"] = {each: check.error(quantized, each) for each in self._precisions}
            stated = ", ".join(f"{error:.4f} in {precision}" for precision, error in entry["errors"].items())
            outcome = f"error {stated} on {len(self._unseen)} unseen videos"
        else:
            quantized, entry = quantize(exact, inputs, transformer=network.transformer), {"inputs": len(inputs)}
            outcome = "no error is stated, because calibration saw every video"
        files = [self._transaction.stage(f"{network.model}/1/{name}") for name in INT8_FILES]
        save_quantized(quantized, *files)
        self._report(f"{network.model}: 8 bits, {outcome}, {time.monotonic() - started:.0f} s")
        return entry

    def _calibrated(
        self, network: Int8Network, exact: openvino.Model, inputs: Clips, check: "_Check"
    ) -> tuple[openvino.Model, dict[str, Any]]:
        quantized, size, error = exact, 0, float("inf")
        for chosen in _growing(inputs):
            candidate = quantize(exact, chosen, transformer=network.transformer)
            found = check.error(candidate, "int8")
            self._report(
                f"{network.model}: 8 bits, calibrated on {len(chosen)} of {len(inputs)} inputs: error {found:.4f}"
            )
            enough = found >= SHRINKS * error
            if found < error:
                quantized, size, error = candidate, len(chosen), found
            if enough:
                break
        entry: dict[str, Any] = {"inputs": size}
        if error > MAX_INT8_ERROR:
            by_product = losses(quantized, inputs[:: max(1, len(inputs) // SENSITIVITY_INPUTS)])
            worst_first = sorted(by_product, key=lambda name: -by_product[name])
            for share in KEPT_SHARES:
                kept = worst_first[: round(share * len(worst_first))]
                candidate = keep_in_float32(quantized, kept)
                error = check.error(candidate, "int8")
                self._report(
                    f"{network.model}: {len(kept)} of {len(worst_first)} products in float32, which lost "
                    f"{by_product[kept[-1]]:.3f} to {by_product[kept[0]]:.3f} of their norm: error {error:.4f}"
                )
                entry["float32"] = kept
                if error <= MAX_INT8_ERROR:
                    break
            quantized = candidate
        return quantized, entry


class _Check:
    """What the exact network answers for the videos that calibration did not see."""

    def __init__(self, network: Int8Network, exact: openvino.Model, videos: Sequence[VideoClips]) -> None:
        self._answers = network.answers
        self._inputs = [network.inputs(video) for video in videos]
        self._expected = [_outputs(exact, "f32", rows) for rows in self._inputs]

    def error(self, quantized: openvino.Model, precision: str) -> float:
        """The largest error of a video, in one of `INT8_PRECISIONS`."""
        found = [_outputs(quantized, precision_hint(precision), rows) for rows in self._inputs]
        return max(self._answers.error(*pair) for pair in zip(self._expected, found, strict=True))


def _growing(inputs: Clips) -> Iterator[Clips]:
    """8, 16, 32 and so on of the inputs, evenly spread, and last all of them."""
    size = FIRST_SIZE
    while size < len(inputs):
        yield inputs[np.linspace(0, len(inputs) - 1, size).astype(int)]
        size *= 2
    yield inputs


def _outputs(network: openvino.Model, hint: str, rows: Clips) -> Values:
    request = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": hint}).create_infer_request()
    return np.concatenate([np.array(request.infer([row[None]])[0]) for row in rows])
