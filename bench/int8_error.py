"""`python -m bench.int8_error`: whether 8 bits move the answers by rounding weights or by rounding activations.

The networks are quantized as the export does it first, with no product kept in float32: calibrated on all real videos
but the last one, and checked on that one. For comparison, float32 answers for the same frames with a level of noise.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import openvino

from bench.__main__ import CACHE
from bench.markdown import table
from export.calibration import Clips, read_clips
from export.int8_answers import Answers, Probabilities, Scores, outputs, read_network
from export.quantization import quantize
from export.sensitivity import with_exact
from fixtures.real_videos import real_videos

CALIBRATED_ON = 8
"""Clips, at most."""
SHORTEST_EDGE = 224


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.int8_error", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument(
        "--model-repository",
        type=Path,
        default=CACHE / "model_repository",
        metavar="DIR",
        help="exported networks (default: those of `python -m bench`)",
    )
    options = parser.parse_args()
    *seen, unseen = read_clips(list(real_videos().values()), SHORTEST_EDGE)
    head = read_network(options.model_repository / "motion_head" / "1" / "model.onnx")
    parts: list[tuple[str, Answers, list[Clips], Clips]] = [
        ("motion_backbone", Scores(head), [video.motion for video in seen], unseen.motion),
        ("camera_classifier", Probabilities(), [video.camera for video in seen], unseen.camera),
    ]
    rows = []
    for model, answers, calibration, check in parts:
        print(f"bench: {model}", file=sys.stderr, flush=True)
        exact = read_network(options.model_repository / model / "1" / "model.onnx")
        rows.append((model, *(f"{error:.4f}" for error in _errors(exact, answers, np.concatenate(calibration), check))))
    print(table(("network", "8 bits", "weights alone", "activations alone", "float32, noise of a level"), rows))
    return 0


def _errors(exact: openvino.Model, answers: Answers, calibration: Clips, check: Clips) -> list[float]:
    """The error with all in 8 bits, with weights alone, with activations alone, and of float32 with noise."""
    quantized = quantize(exact, calibration[:CALIBRATED_ON], transformer=True)
    expected = outputs(exact, check)
    kinds = (quantized, with_exact(quantized, weights=False), with_exact(quantized, weights=True))
    noise = np.random.default_rng(0).integers(-1, 2, check.shape)
    noisy = np.clip(check.astype(int) + noise, 0, 255).astype(np.uint8)
    found = [*(outputs(kind, check) for kind in kinds), outputs(exact, noisy)]
    return [answers.error(expected, one) for one in found]


if __name__ == "__main__":
    sys.exit(main())
