"""Presets: kinds of videos that are not worth training on, defined by limits.

Scores and cut-offs are compared in float32: a score that prints as 0.4 is neither below nor above 0.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

COLUMNS = {
    "camera": "camera_movement_score",
    "object": "object_movement_score",
    "dynamics": "dynamics_score",
}
"""The column of each score, by the score's short name."""
LARGEST_CUTOFF = 1000.0
"""Largest absolute value of a cut-off that may be given; scores are nominally 0 to 3."""


@dataclass(frozen=True)
class Limit:
    """A condition on one score: below or above a cut-off."""

    score: str
    """`camera`, `object` or `dynamics`; in verdicts also a name of `.quantities.QUANTITIES`."""
    side: Literal["below", "above"]
    """Which scores match; the cut-off itself does not."""
    cutoff: float
    """Rounded to float32 for the comparison."""

    def takes(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(videos,) bool: which of the (videos,) float32 scores match; NaN never does."""
        cutoff = np.float32(self.cutoff)
        return scores < cutoff if self.side == "below" else scores > cutoff

    def __str__(self) -> str:
        return f"{self.score} {'<' if self.side == 'below' else '>'} {self.cutoff:g}"


@dataclass(frozen=True)
class Preset:
    """A named kind of video: those that match all of its limits."""

    name: str
    """Its name on the command line."""
    meaning: str
    """A few words that describe such a video."""
    limits: tuple[Limit, ...]
    """Conditions on different scores."""

    def takes(self, scores: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """(videos,) bool: which videos match, given (videos,) float32 of each score by its short name."""
        return np.logical_and.reduce([limit.takes(scores[limit.score]) for limit in self.limits])

    def adjusted(self, cutoffs: Mapping[str, float]) -> "Preset":
        """The same preset with other cut-offs, by short name of the score.

        Raises KeyError for a score without a limit in this preset.
        """
        known = {limit.score for limit in self.limits}
        if unknown := [score for score in cutoffs if score not in known]:
            raise KeyError(unknown[0])
        limits = (replace(limit, cutoff=cutoffs.get(limit.score, limit.cutoff)) for limit in self.limits)
        return replace(self, limits=tuple(limits))

    @property
    def flag(self) -> str:
        """The option that changes its cut-offs."""
        return "--" + self.name.replace("_", "-")

    def __str__(self) -> str:
        return " and ".join(map(str, self.limits))


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "static",
            "almost nothing moves",
            (Limit("camera", "below", 0.5), Limit("object", "below", 0.5), Limit("dynamics", "below", 1.0)),
        ),
        Preset(
            "chaotic",
            "everything moves at once",
            (Limit("camera", "above", 2.5), Limit("dynamics", "above", 2.5)),
        ),
        Preset(
            "slideshow",
            "the picture changes, nothing in it moves",
            (Limit("object", "below", 0.5), Limit("dynamics", "above", 1.0)),
        ),
    )
}
"""The presets with their published cut-offs, by name."""
