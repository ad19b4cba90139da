"""Precision and recall of a preset, and the cut-offs that are best for known clips."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from client._tables.presets import Preset

Booleans = NDArray[np.bool_]
CANDIDATES = 80
"""Cut-offs that are tried of each limit."""
ROUNDS = 4


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    part: int
    of: int

    @property
    def value(self) -> float:
        """The share; NaN of none."""
        return self.part / self.of if self.of else float("nan")

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        z, n, p = 1.96, max(self.of, 1), self.part / max(self.of, 1)
        middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def __str__(self) -> str:
        if not self.of:
            return "-"
        low, high = self.interval()
        return f"{self.value:.2f} ({low:.2f} to {high:.2f})"


def precision(taken: Booleans, truth: Booleans) -> Share:
    """Of the clips that are taken, those that should be."""
    return Share(int((taken & truth).sum()), int(taken.sum()))


def recall(taken: Booleans, truth: Booleans) -> Share:
    """Of the clips that should be taken, those that are."""
    return Share(int((taken & truth).sum()), int(truth.sum()))


def f1(taken: Booleans, truth: Booleans) -> float:
    """The harmonic mean of precision and recall."""
    both = int(taken.sum() + truth.sum())
    return 2 * int((taken & truth).sum()) / both if both else 0.0


def best_cutoffs(preset: Preset, values: Mapping[str, NDArray[np.float32]], truth: Booleans) -> Preset:
    """The preset with the cut-offs of the largest F1, found one limit after another; the middle of equally good ones.

    values: (clips,) of each quantity; truth: (clips,).
    """
    for _ in range(ROUNDS):
        for limit in preset.limits:
            known = np.unique(values[limit.score][np.isfinite(values[limit.score])])
            if len(known) < 2:
                continue
            between = (known[1:] + known[:-1]) / 2
            tried = between[np.linspace(0, len(between) - 1, min(CANDIDATES, len(between))).astype(int)]
            scores = []
            for cutoff in tried:
                changed = preset.adjusted({limit.score: float(cutoff)})
                scores.append(f1(changed.takes(values), truth))
            best = tried[np.flatnonzero(np.array(scores) == max(scores))]
            preset = preset.adjusted({limit.score: float(f"{best[len(best) // 2]:.3g}")})
    return replace(preset)
