"""How good answers are: reported labels and scores of clips, against what is true of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

SCORES = ("camera", "object", "dynamics")


@dataclass(frozen=True)
class Answer:
    """What is true of a clip, and what was said of it."""

    labels: frozenset[str]
    """The true ones."""
    reported: frozenset[str]
    rates: NDArray[np.float64]
    """(3,) of `training.truth`: camera, object, dynamics."""
    scores: NDArray[np.float64]
    """(3,)."""


@dataclass(frozen=True)
class Verdict:
    """Of many answers."""

    clips: int
    found: dict[str, float]
    """Of each kind of move, the share of its labels that were reported."""
    too_many: float
    """Labels a clip that were reported and are not true."""
    rank_correlations: dict[str, float]
    """Spearman's, of each score with the true rate."""

    def __str__(self) -> str:
        lines = [f"{kind:10} {share:6.1%} found" for kind, share in sorted(self.found.items())]
        lines.append(f"{self.too_many:.2f} labels too many a clip")
        lines += [f"{name:10} {value:.3f} rank correlation" for name, value in self.rank_correlations.items()]
        return "\n".join([f"{self.clips} clips", *lines])


def evaluate(answers: Sequence[Answer]) -> Verdict:
    """The verdict on answers, at least two."""
    found: dict[str, list[bool]] = {}
    for answer in answers:
        for label in answer.labels:
            found.setdefault(kind_of(label), []).append(label in answer.reported)
    correlations = {
        name: float(spearmanr([a.rates[i] for a in answers], [a.scores[i] for a in answers]).statistic)
        for i, name in enumerate(SCORES)
    }
    return Verdict(
        len(answers),
        {kind: float(np.mean(each)) for kind, each in found.items()},
        float(np.mean([len(answer.reported - answer.labels) for answer in answers])),
        correlations,
    )


def kind_of(label: str) -> str:
    """`pan` of `pan_left`."""
    return label.partition("_")[0]
