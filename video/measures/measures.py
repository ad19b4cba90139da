"""The measures of a video, and their form on the wire; without OpenCV, for programs that only name them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Measures:
    """Measures of the frames that `video.measures.frames` chooses, in levels from 0 to 255 where levels are named.

    Those of pairs of neighbouring frames are None if there is one frame.
    """

    frames: int
    """How many frames were measured."""
    max_rgb_diff: float | None
    """Squared levels: the largest mean squared difference of the RGB levels of a pair."""
    mean_rgb_diff: float | None
    """Squared levels: the mean over the pairs of that difference."""
    max_velocity: float | None
    """Pixels of the 240 x 240 picture per pair: the largest mean length of the optical flow of a pair."""
    mean_velocity: float | None
    """Pixels of the 240 x 240 picture per pair: the mean over the pairs of that length."""
    motion_vectors: float | None
    """Pixels of the video: the mean over frames and pixels of the length of the codec's motion vectors.

    None if no measured frame has any: codecs other than H.264 and MPEG-4, and videos of keyframes."""
    cuts: int
    """How often one shot follows another."""
    brightness: float
    """Levels: the mean over the frames of the mean grey level."""
    sharpness: float
    """Squared levels: the mean over the frames of the variance of the Laplacian of the grey picture."""
    black_share: float
    """From 0 to 1: the share of the frames that are black."""
    frozen_share: float | None
    """From 0 to 1: the share of the pairs that do not change."""
    letterbox: float | None
    """From 0 to 1: the share of the picture that black bars take; None if every frame is black."""

    def row(self, names: Sequence[str]) -> NDArray[np.float32]:
        """(1, names) float32: these measures, NaN for None."""
        return row_of(self.as_dict(), names)

    def as_dict(self) -> dict[str, float | None]:
        """The measures by name."""
        return dict(vars(self))

    @classmethod
    def checked(cls, said: object) -> "Measures":
        """The measures in what an untrusted process says, a JSON object; ValueError if they cannot be measures."""
        if not isinstance(said, Mapping) or tuple(said) != NAMES:
            raise ValueError("these are not the names of measures")
        for name, value in said.items():
            if value is None and name in OPTIONAL:
                continue
            if type(value) is not (int if name in WHOLE else float) or not 0 <= value < MOST:
                raise ValueError(f"{name} cannot be {value!r:.40}")
        return cls(**said)


def row_of(measures: Mapping[str, float | None], names: Sequence[str]) -> NDArray[np.float32]:
    """(1, names) float32: these of the measures, NaN for None."""
    values = (measures[name] for name in names)
    return np.array([[math.nan if value is None else value for value in values]], np.float32)


NAMES = tuple(field.name for field in fields(Measures))
"""The measures without a network, in the order of the columns of METRICS; those of `video.measures.latents` follow."""
WHOLE = ("frames", "cuts")
OPTIONAL = tuple(field.name for field in fields(Measures) if "None" in str(field.type))
MOST = 1e9
