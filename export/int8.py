"""The 8-bit forms of exported networks: calibrated, checked on videos that calibration did not see, and written."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino

from backends.precision import MAX_INT8_ERROR
from export.calibration import Clips, VideoClips
from export.int8_answers import Answers, Values, read_network
from export.probabilities import quantize_probabilities
from export.quantization import quantize, save_quantized
from export.repository import Transaction
from export.sensitivity import keep_in_float32, losses

Report = Callable[[str], None]
INT8_FILES = ("model_int8.xml", "model_int8.bin")
FIRST_SIZE = 8
"""Inputs that a network is calibrated on first; then twice as many, for as long as the error shrinks."""
SHRINKS = 0.9
"""More inputs, or more products in float32, are worth it if they bring the error below this share of what it was."""
SENSITIVITY_INPUTS = 4
"""On so many inputs it is measured what each product loses."""
KEPT_SHARES = (0.05, 0.1, 0.2, 0.4)
"""Shares of the products that may stay in float32, tried one after the other until the error is small."""


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

    def write(self, network: Int8Network) -> dict[str, Any]:
        """Quantize a network whose `model.onnx` is staged, and return what `weights.json` says of its 8-bit form."""
        started = time.monotonic()
        exact = read_network(self._transaction.staged(f"{network.model}/1/model.onnx"))
        inputs = np.concatenate([network.inputs(video) for video in self._seen])
        if self._unseen:
            quantized, entry = self._checked(network, exact, inputs)
            outcome = f"error {entry['error']:.4f} on {len(self._unseen)} unseen videos"
        else:
            quantized, entry = _quantize(network, exact, inputs), {"inputs": len(inputs)}
            outcome = "no error is stated, because calibration saw every video"
        files = [self._transaction.stage(f"{network.model}/1/{name}") for name in INT8_FILES]
        save_quantized(quantized, *files)
        self._report(f"{network.model}: 8 bits, {outcome}, {time.monotonic() - started:.0f} s")
        return entry

    def _checked(
        self, network: Int8Network, exact: openvino.Model, inputs: Clips
    ) -> tuple[openvino.Model, dict[str, Any]]:
        check = _Check(network, exact, self._unseen)
        quantized, entry = exact, {"inputs": 0, "error": float("inf")}
        for chosen in _growing(inputs):
            candidate = _quantize(network, exact, chosen)
            error = check.error(candidate)
            self._report(
                f"{network.model}: 8 bits, calibrated on {len(chosen)} of {len(inputs)} inputs: error {error:.4f}"
            )
            enough = error >= SHRINKS * entry["error"]
            if error < entry["error"]:
                quantized, entry = candidate, {"inputs": len(chosen), "error": error}
            if enough:
                break
        if entry["error"] <= MAX_INT8_ERROR:
            return quantized, entry
        return self._with_worst_in_float32(network.model, quantized, entry, _some(inputs), check)

    def _with_worst_in_float32(
        self, model: str, quantized: openvino.Model, entry: dict[str, Any], inputs: Clips, check: "_Check"
    ) -> tuple[openvino.Model, dict[str, Any]]:
        by_product = losses(quantized, inputs)
        worst_first = sorted(by_product, key=lambda name: -by_product[name])
        best = quantized
        for share in KEPT_SHARES:
            kept = worst_first[: math.ceil(share * len(worst_first))]
            candidate = keep_in_float32(quantized, kept)
            error = check.error(candidate)
            self._report(
                f"{model}: {len(kept)} of {len(worst_first)} products in float32, which lose "
                f"{by_product[kept[-1]]:.3f} to {by_product[kept[0]]:.3f} of their norm: error {error:.4f}"
            )
            if error >= SHRINKS * entry["error"]:
                continue  # several layers may have to be exact before it shows
            best, entry = candidate, entry | {"error": error, "float32": kept}
            if error <= MAX_INT8_ERROR:
                break
        return best, entry


class _Check:
    """What the exact network answers for the videos that calibration did not see."""

    def __init__(self, network: Int8Network, exact: openvino.Model, videos: Sequence[VideoClips]) -> None:
        self._answers = network.answers
        self._inputs = [network.inputs(video) for video in videos]
        self._expected = [_outputs(exact, rows) for rows in self._inputs]

    def error(self, quantized: openvino.Model) -> float:
        """The largest error of a video."""
        found = [_outputs(quantized, rows) for rows in self._inputs]
        return max(self._answers.error(*pair) for pair in zip(self._expected, found, strict=True))


def _growing(inputs: Clips) -> Iterator[Clips]:
    """8, 16, 32 and so on of the inputs, evenly spread, and last all of them."""
    size = FIRST_SIZE
    while size < len(inputs):
        yield inputs[np.linspace(0, len(inputs) - 1, size).astype(int)]
        size *= 2
    yield inputs


def _quantize(network: Int8Network, exact: openvino.Model, inputs: Clips) -> openvino.Model:
    quantized = quantize(exact, inputs, transformer=network.transformer)
    return quantize_probabilities(quantized, _some(inputs)) if network.transformer else quantized


def _some(inputs: Clips) -> Clips:
    """`SENSITIVITY_INPUTS` of them, evenly spread."""
    return inputs[np.linspace(0, len(inputs) - 1, min(len(inputs), SENSITIVITY_INPUTS)).astype(int)]


def _outputs(network: openvino.Model, rows: Clips) -> Values:
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(network, "CPU", hints).create_infer_request()
    return np.concatenate([np.array(request.infer([row[None]])[0]) for row in rows])
