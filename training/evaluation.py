"""Evaluation: reported labels and scores of clips, compared with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

SCORES = ("camera", "object", "dynamics")


@dataclass(frozen=True)
class Answer:
    """The truth of a clip, and a server's answer."""

    labels: frozenset[str]
    """The true labels."""
    reported: frozenset[str]
    """The reported labels."""
    rates: NDArray[np.float64]
    """(3,) true rates of `training.truth`: camera, object, dynamics."""
    scores: NDArray[np.float64]
    """(3,) scores in the same order."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of many answers."""

    clips: int
    found: dict[str, float]
    """For each kind of move, the share of true labels that were reported."""
    too_many: float
    """Labels per clip that were reported but are not true."""
    rank_correlations: dict[str, float]
    """Spearman's rank correlation of each score with the true rate."""

    def __str__(self) -> str:
        lines = [f"{kind:10} {share:6.1%} found" for kind, share in sorted(self.found.items())]
        lines.append(f"{self.too_many:.2f} false labels per clip")
        lines += [f"{name:10} {value:.3f} rank correlation" for name, value in self.rank_correlations.items()]
        return "\n".join([f"{self.clips} clips", *lines])


def evaluate(answers: Sequence[Answer]) -> Evaluation:
    """The figures of two or more answers."""
    found: dict[str, list[bool]] = {}
    for answer in answers:
        for label in answer.labels:
            found.setdefault(kind_of(label), []).append(label in answer.reported)
    correlations = {
        name: float(spearmanr([a.rates[i] for a in answers], [a.scores[i] for a in answers]).statistic)
        for i, name in enumerate(SCORES)
    }
    return Evaluation(
        len(answers),
        {kind: float(np.mean(each)) for kind, each in found.items()},
        float(np.mean([len(answer.reported - answer.labels) for answer in answers])),
        correlations,
    )


def kind_of(label: str) -> str:
    """The kind of a label: `pan` for `pan_left`."""
    return label.partition("_")[0]
