"""How good a head is on videos that it has not learned from, with intervals from bootstrap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""The lowest probability at which a label is reported, if each label has a probability of its own."""
RESAMPLES = 2000
COVERAGE = 0.95
_AT_ONCE = 4_000_000  # floats of resampling weights: 32 MB


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def decided(probabilities: NDArray[np.floating], *, multi_label: bool) -> NDArray[np.bool_]:
    """(videos, labels) bool: the labels that are reported: the most probable one, or all from `THRESHOLD` on."""
    if multi_label:
        return probabilities >= THRESHOLD
    return np.arange(probabilities.shape[1]) == probabilities.argmax(1)[:, None]


def figures(
    targets: NDArray[np.bool_], found: NDArray[np.bool_], seed: int, resamples: int = RESAMPLES
) -> dict[str, Figure]:
    """`accuracy`, `f1_micro` and `f1_macro` of `found` against `targets`, both (videos, labels).

    Accuracy is the share of videos whose labels are all right. Micro F1 counts the labels of all videos together. Macro
    F1 is the mean over labels, of those that some video has or gets. Intervals are the 2.5th and the 97.5th percentile
    of the figure over `resamples` sets of as many videos, drawn with replacement.
    """
    videos = len(targets)
    values = _figures(targets, found, np.ones((1, videos)))
    rng = np.random.default_rng([seed, 1])
    parts = []
    left = resamples
    while left:
        some = min(left, max(1, _AT_ONCE // videos))
        weights = rng.multinomial(videos, np.full(videos, 1 / videos), some).astype(np.float64)
        parts.append(_figures(targets, found, weights))
        left -= some
    drawn = np.concatenate(parts, axis=1)
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=1)
    names = ("accuracy", "f1_micro", "f1_macro")
    return {name: Figure(float(values[k, 0]), float(low[k]), float(high[k])) for k, name in enumerate(names)}


def f1_of_labels(targets: NDArray[np.bool_], found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(labels,) F1 of each label; NaN for one that no video has or gets."""
    right, sizes = (targets & found).sum(0), targets.sum(0) + found.sum(0)
    with np.errstate(invalid="ignore"):
        return 2 * right / sizes


def confusion(targets: NDArray[np.bool_], found: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(labels, labels) the number of videos with a row's label that got a column's; each video has one of both."""
    return targets.astype(np.int64).T @ found.astype(np.int64)


def _figures(targets: NDArray[np.bool_], found: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, resamples) the three figures if each video counts `weights` (resamples, videos) times."""
    accuracy = weights @ (targets == found).all(1) / weights.sum(1)
    right = weights @ (targets & found)
    sizes = weights @ targets + weights @ found
    with np.errstate(invalid="ignore"):
        micro = np.nan_to_num(2 * right.sum(1) / sizes.sum(1))
        each = np.where(sizes > 0, 2 * right / sizes, 0)
    macro = each.sum(1) / np.maximum((sizes > 0).sum(1), 1)
    return np.stack([accuracy, micro, macro])
