"""How good a decision is, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

RESAMPLES = 1000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, by the percentile bootstrap over answers."""

    value: float
    """The figure itself."""
    low: float
    """2.5 % of the resamples are below."""
    high: float
    """2.5 % are above."""

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def figures(keep: NDArray[np.bool_], probabilities: NDArray[np.float32]) -> dict[str, Figure]:
    """`accuracy` at 0.5, `auc` (area under the ROC curve) and `average_precision` of (rows,) probabilities."""
    return {
        "accuracy": interval(keep, probabilities >= 0.5, accuracy_score),
        "auc": interval(keep, probabilities, roc_auc_score),
        "average_precision": interval(keep, probabilities, average_precision_score),
    }


def interval(keep: NDArray[np.bool_], said: NDArray, figure: Callable[..., float], seed: int = 0) -> Figure:
    """A figure of (rows,) answers and what was said about them; resamples with one kind of answer are drawn again."""
    generator = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < RESAMPLES:
        rows = generator.integers(0, len(keep), len(keep))
        if 0 < keep[rows].sum() < len(keep):
            values.append(float(figure(keep[rows], said[rows])))
    low, high = np.percentile(values, (2.5, 97.5))
    return Figure(float(figure(keep, said)), float(low), float(high))
