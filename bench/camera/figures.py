"""Figures of multi-label classification: F1 and average precision of each label, and what is taken for what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
FORWARD = ("zoom_in", "zoom_out", "dolly_in", "dolly_out")
"""Labels that are easily taken for each other."""


@dataclass(frozen=True)
class LabelFigures:
    """How well one label is found."""

    label: str
    videos: int
    """How many have it."""
    precision: float
    """Of the videos that are given the label, the share that has it; 0 if none is given it."""
    recall: float | None
    """Of the videos that have the label, the share that is given it; None if none has it."""
    f1: float | None
    """The harmonic mean of the two; None if no video has the label."""
    average_precision: float | None
    """The mean of the precisions at each video that has the label, in the order of probability; None if none has it.

    Videos with the same probability count together: https://scikit-learn.org/stable/modules/model_evaluation.html
    """


def label_figures(label: str, truth: Booleans, probabilities: Floats, threshold: float) -> LabelFigures:
    """The figures of one label; both arrays have a value for each video."""
    given = probabilities >= threshold
    right = int(np.sum(given & truth))
    has, gets = int(truth.sum()), int(given.sum())
    if not has:
        return LabelFigures(label, 0, 0.0, None, None, None)
    precision, recall = right / gets if gets else 0.0, right / has
    f1 = 2 * right / (has + gets)
    return LabelFigures(label, has, precision, recall, f1, _average_precision(truth, probabilities))


def _average_precision(truth: Booleans, probabilities: Floats) -> float:
    order = np.argsort(-probabilities, kind="stable")
    found = np.cumsum(truth[order])
    last = np.flatnonzero(np.diff(probabilities[order], append=-1.0))  # of each group of equal probabilities
    precision = found[last] / (last + 1)
    recall = found[last] / truth.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def mean(values: Iterable[float | None]) -> float | None:
    """The mean without labels that no video has; None if there is no other."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def taken_for(
    labels: Sequence[str], truth: Sequence[frozenset[str]], probabilities: Sequence[Mapping[str, float]]
) -> NDArray[np.int64]:
    """(labels, labels) counts: row, the only one of `labels` that a video has; column, the most probable of them."""
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for has, probability in zip(truth, probabilities, strict=True):
        of_these = [label for label in labels if label in has]
        if len(of_these) == 1:
            likeliest = max(labels, key=lambda label: probability[label])
            counts[labels.index(of_these[0]), labels.index(likeliest)] += 1
    return counts
