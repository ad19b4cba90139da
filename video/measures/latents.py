"""How an autoencoder's latents change from one measured frame to the next."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from video.measures.measures import NAMES


class LatentMeasures(NamedTuple):
    """Measures of the latents of the frames that `Measures` is about; None if there is one frame."""

    latent_mse: float | None
    """The mean over the pairs of the mean squared difference of their latents."""
    latent_cosine: float | None
    """From -1 to 1: the mean over the pairs of the cosine between their flattened latents."""


LATENT_NAMES = LatentMeasures._fields


def measure_names(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The measures that a repository with this `weights.json` serves, in the order of the columns of METRICS."""
    return (*NAMES, *LATENT_NAMES) if "autoencoder" in manifest else NAMES


class LatentPairs:
    """Takes the latents of a video's frames in their order, and keeps those of the last frame alone."""

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._errors: list[float] = []
        self._cosines: list[float] = []

    def take(self, latents: NDArray[np.float32]) -> None:
        """The next frames: (frames, channels, height, width), at least one. ValueError if a value is not finite."""
        rows = latents.reshape(len(latents), -1).astype(np.float64)
        if not np.isfinite(rows).all():
            raise ValueError("latents that are not finite")
        if self._last is not None:
            rows = np.concatenate([self._last[None], rows])
        first, second = rows[:-1], rows[1:]
        self._errors += np.square(second - first).mean(axis=1).tolist()
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        # Latents of length 0 have no direction: such a pair is as if at right angles.
        products = (first * second).sum(axis=1)
        self._cosines += np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).tolist()
        self._last = rows[-1]

    def result(self) -> LatentMeasures:
        """The measures of the frames so far."""
        if not self._errors:
            return LatentMeasures(None, None)
        return LatentMeasures(float(np.mean(self._errors)), float(np.mean(self._cosines)))
