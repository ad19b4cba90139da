"""The measures of a video: how its pixels change, and its latents if an autoencoder is exported."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

METRICS_OUTPUT = "METRICS"
"""The output of the server."""


@dataclass(frozen=True)
class Metrics:
    """Measures of frames a quarter of a second apart; None for what the video or the server does not have.

    Levels are those of 8-bit RGB or grey, from 0 to 255; pixels those of a frame resized to 240 x 240.
    """

    frames: int | None = None
    """How many frames were measured."""
    max_rgb_diff: float | None = None
    """Squared levels: the largest mean squared difference of two neighbouring frames."""
    mean_rgb_diff: float | None = None
    """Squared levels: the mean of that difference over all neighbours."""
    max_velocity: float | None = None
    """Pixels from one frame to the next: the largest mean length of the optical flow."""
    mean_velocity: float | None = None
    """Pixels from one frame to the next: the mean of that length over all neighbours."""
    motion_vectors: float | None = None
    """Pixels of the video: the mean length of the codec's motion vectors; None for most codecs."""
    cuts: int | None = None
    """How often one shot follows another."""
    brightness: float | None = None
    """Levels: the mean grey."""
    sharpness: float | None = None
    """Squared levels: the variance of the Laplacian of the grey frames."""
    black_share: float | None = None
    """From 0 to 1: the share of the frames that are black."""
    frozen_share: float | None = None
    """From 0 to 1: the share of the neighbours between which nothing changes."""
    letterbox: float | None = None
    """From 0 to 1: the share of the picture that black bars take."""
    latent_mse: float | None = None
    """The mean squared difference of an autoencoder's latents between neighbours; None without an autoencoder."""
    latent_cosine: float | None = None
    """From -1 to 1: the mean over all neighbours of the cosine between the same; None without an autoencoder."""


WHOLE = ("frames", "cuts")
"""The measures that are counts."""
_DIGITS = 9  # as many as tell float32 numbers apart


def metrics_of(values: NDArray[np.float32], names: Sequence[str]) -> Metrics:
    """The measures in (1, measures) values, NaN for None, with the server's names of the columns.

    A measure that this client does not know is left out. Raises ValueError if the shape does not fit.
    """
    if values.shape != (1, len(names)) or not names:
        raise ValueError(f"{values.shape} measures for {len(names)} names")
    known = asdict(Metrics())
    given = {name: _number(name, float(value)) for name, value in zip(names, values[0], strict=True) if name in known}
    return Metrics(**given)  # type: ignore[arg-type]  # counts are whole


def _number(name: str, value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return int(value) if name in WHOLE else float(f"{value:.{_DIGITS}g}")
