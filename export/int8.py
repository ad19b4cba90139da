"""The 8-bit forms of exported networks: calibrated, checked on videos that calibration did not see, and written."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from backends.precision import MAX_INT8_ERROR
from export.calibration import Clips, VideoClips
from export.int8_answers import Answers, outputs, read_network
from export.probabilities import quantize_probabilities
from export.quantization import quantize, save_quantized
from export.repository import Transaction
from export.sensitivity import attention_products, keep_in_float32, losses

Report = Callable[[str], None]
INT8_FILES = ("model_int8.xml", "model_int8.bin")
FIRST_SIZE = 8
"""Inputs that a network is calibrated on first; then twice as many, for as long as the error shrinks."""
SHRINKS = 0.9
"""More inputs, or more products in float32, are worth it if they bring the error below this share of what it was."""
SENSITIVITY_INPUTS = 4
"""On so many inputs it is measured what each product loses."""
TRIAL_INPUTS = 8
"""On so many of the calibration inputs it is measured what products of attention add to the error."""
ATTENTION_ADDS = 1.1
"""Products of attention are in 8 bits as long as the error stays below so many times the error without them."""
KEPT_SHARES = (0.1, 0.4)
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
        self,
        transaction: Transaction,
        graphs: Path,
        report: Report,
        seen: Sequence[VideoClips],
        unseen: Sequence[VideoClips],
    ) -> None:
        """`graphs` has the networks with attention as MODEL.onnx, others are read from the transaction.

        `seen` are the videos to calibrate on, `unseen` those to check on; without any, no error is stated.
        """
        self._transaction = transaction
        self._graphs = graphs
        self._report = report
        self._seen = seen
        self._unseen = unseen

    def write(self, network: Int8Network) -> dict[str, Any]:
        """Quantize a network that was exported, and return what `weights.json` says of its 8-bit form."""
        started = time.monotonic()
        graph = self._graphs / f"{network.model}.onnx"
        exact = read_network(graph if graph.exists() else self._transaction.staged(f"{network.model}/1/model.onnx"))
        inputs = np.concatenate([network.inputs(video) for video in self._seen])
        if self._unseen:
            quantized, entry = self._checked(network, exact, inputs)
            outcome = f"error {entry['error']:.4f} on {len(self._unseen)} unseen videos"
        else:
            quantized, entry = quantize(exact, inputs, transformer=network.transformer), {"inputs": len(inputs)}
            if network.transformer:
                _, quantized, kept = self._with_attention(network, exact, quantized, inputs)
                entry |= {"float32": kept}
            outcome = "no error is stated, because calibration saw every video"
        files = [self._transaction.stage(f"{network.model}/1/{name}") for name in INT8_FILES]
        save_quantized(quantized, *files)
        self._report(f"{network.model}: 8 bits, {outcome}, {time.monotonic() - started:.0f} s")
        return entry

    def _checked(
        self, network: Int8Network, exact: openvino.Model, inputs: Clips
    ) -> tuple[openvino.Model, dict[str, Any]]:
        check = _Check(network.answers, exact, [network.inputs(video) for video in self._unseen])
        quantized = exact
        entry: dict[str, Any] = {"inputs": 0, "error": float("inf")}
        for chosen in _growing(inputs):
            candidate = quantize(exact, chosen, transformer=network.transformer)
            error = check.error(candidate)
            self._report(
                f"{network.model}: 8 bits, calibrated on {len(chosen)} of {len(inputs)} inputs: error {error:.4f}"
            )
            enough = error >= SHRINKS * entry["error"]
            if error < entry["error"]:
                quantized, entry = candidate, {"inputs": len(chosen), "error": error}
            if enough:
                break
        if network.transformer:
            without, with_attention, kept = self._with_attention(network, exact, quantized, inputs)
            exact_attention = check.error(without)
            error = check.error(with_attention)
            self._report(
                f"{network.model}: error {exact_attention:.4f} with attention in float32, {error:.4f} with what holds"
            )
            if error < ATTENTION_ADDS * exact_attention:
                quantized, entry = with_attention, entry | {"error": error, "float32": kept}
            else:
                names = [product.get_friendly_name() for product in attention_products(with_attention)]
                quantized, entry = without, entry | {"error": exact_attention, "float32": kept + names}
        if entry["error"] <= MAX_INT8_ERROR:
            return quantized, entry
        return self._with_worst_in_float32(network.model, quantized, entry, _some(inputs, SENSITIVITY_INPUTS), check)

    def _with_attention(
        self, network: Int8Network, exact: openvino.Model, quantized: openvino.Model, inputs: Clips
    ) -> tuple[openvino.Model, openvino.Model, list[str]]:
        """`quantized` with attention in float32, the same with what holds of it in 8 bits, and the names of the rest.

        Products are added by what they lose, the least first.
        """
        some = _some(inputs, SENSITIVITY_INPUTS)
        full = quantize_probabilities(quantized, some)
        by_product = losses(full, some, [product.get_friendly_name() for product in attention_products(full)])
        least_first = sorted(by_product, key=lambda name: by_product[name])
        without = keep_in_float32(full, least_first)
        trial = _Check(network.answers, exact, [row[None] for row in _some(inputs, TRIAL_INPUTS)])
        bound = ATTENTION_ADDS * trial.error(without)
        count = longest(len(least_first), lambda size: trial.error(keep_in_float32(full, least_first[size:])) < bound)
        self._report(f"{network.model}: {count} of {len(least_first)} products of attention in 8 bits")
        return without, keep_in_float32(full, least_first[count:]), least_first[count:]

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
            best, entry = candidate, entry | {"error": error, "float32": [*entry.get("float32", []), *kept]}
            if error <= MAX_INT8_ERROR:
                break
        return best, entry


class _Check:
    """What the exact network answers for some videos."""

    def __init__(self, answers: Answers, exact: openvino.Model, videos: Sequence[Clips]) -> None:
        """`videos`: the inputs for each video, a row for each run."""
        self._answers = answers
        self._inputs = videos
        self._expected = [outputs(exact, rows) for rows in self._inputs]

    def error(self, quantized: openvino.Model) -> float:
        """The largest error of a video."""
        found = [outputs(quantized, rows) for rows in self._inputs]
        return max(self._answers.error(*pair) for pair in zip(self._expected, found, strict=True))


def _growing(inputs: Clips) -> Iterator[Clips]:
    """8, 16, 32 and so on of the inputs, evenly spread, and last all of them."""
    size = FIRST_SIZE
    while size < len(inputs):
        yield inputs[np.linspace(0, len(inputs) - 1, size).astype(int)]
        size *= 2
    yield inputs


def longest(most: int, holds: Callable[[int], bool]) -> int:
    """About the largest size from 0 to `most` that holds, if smaller ones hold where larger ones do; 0 holds.

    Few are tried: all first, then by halves, to a quarter of `most`.
    """
    if holds(most):
        return most
    low, high = 0, most
    while high - low > max(1, most // 4):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _some(inputs: Clips, count: int) -> Clips:
    """`count` of them, evenly spread."""
    return inputs[np.linspace(0, len(inputs) - 1, min(len(inputs), count)).astype(int)]
