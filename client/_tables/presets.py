"""What the scores are for: presets that tell videos not worth training on, by limits on the three scores.

A cut-off is compared in float32, as the scores are: a score that prints as 0.4 is neither below nor above 0.4.
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
"""The column of each score in a table of scores, by the score's short name."""


@dataclass(frozen=True)
class Limit:
    """One score on one side of a cut-off."""

    score: str
    """`camera`, `object` or `dynamics`."""
    side: Literal["below", "above"]
    """Which scores it takes; never the cut-off itself."""
    cutoff: float
    """Where it starts to take them; rounded to float32 when compared."""

    def takes(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(videos,) bool of (videos,) float32 scores; NaN is never taken."""
        cutoff = np.float32(self.cutoff)
        return scores < cutoff if self.side == "below" else scores > cutoff

    def __str__(self) -> str:
        return f"{self.score} {'<' if self.side == 'below' else '>'} {self.cutoff:g}"


@dataclass(frozen=True)
class Preset:
    """A named kind of video: all of its limits hold."""

    name: str
    """What the command line calls it."""
    meaning: str
    """Such a video, in a few words."""
    limits: tuple[Limit, ...]
    """Each on another score."""

    def takes(self, scores: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """(videos,) bool: which videos are of this kind, from (videos,) float32 of each score by its short name."""
        return np.logical_and.reduce([limit.takes(scores[limit.score]) for limit in self.limits])

    def adjusted(self, cutoffs: Mapping[str, float]) -> "Preset":
        """The same with other cut-offs, by short name of the score.

        Raises KeyError for a score that the preset has no limit on.
        """
        known = {limit.score for limit in self.limits}
        if unknown := [score for score in cutoffs if score not in known]:
            raise KeyError(unknown[0])
        limits = (replace(limit, cutoff=cutoffs.get(limit.score, limit.cutoff)) for limit in self.limits)
        return replace(self, limits=tuple(limits))

    def __str__(self) -> str:
        return " and ".join(map(str, self.limits))


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "static",
            "next to nothing moves",
            (Limit("camera", "below", 0.5), Limit("object", "below", 0.5), Limit("dynamics", "below", 1.0)),
        ),
        Preset(
            "chaotic",
            "everything moves at once",
            (Limit("camera", "above", 2.5), Limit("dynamics", "above", 2.5)),
        ),
        Preset(
            "slideshow",
            "pictures change, nothing in them moves",
            (Limit("object", "below", 0.5), Limit("dynamics", "above", 1.0)),
        ),
    )
}
"""The presets with their published cut-offs, by name."""
