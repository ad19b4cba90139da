"""Changes of a picture without motion: brightness, colour, focus, and cuts to another scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIGHT = 5
"""Values of each step in `Light.steps`."""
LEVELS = 4
"""The first of these values, whose sum is a level: brightness of three colours, and blur."""
STOP = 1.0
BLUR = 0.01
"""Growth of a blur, as a fraction of the picture's width, that counts as much as a stop of brightness."""


@dataclass(frozen=True)
class Light:
    """Brightness, blur and the visible scene in every frame."""

    gains: Floats
    """(frames, 3) in stops (powers of two), for red, green and blue."""
    blur: Floats
    """(frames,) standard deviation of the blur, as a fraction of the picture's width."""
    shot: NDArray[np.int64]
    """(frames,) the number of cuts before the frame."""

    def steps(self, frames: NDArray[np.int64]) -> Floats:
        """(frames - 1, 5) changes from each of `frames` to the next: stops of red, green and blue, blurs, cuts."""
        blurs, cuts = np.diff(self.blur[frames]) / BLUR, np.diff(self.shot[frames])
        return np.column_stack([np.diff(self.gains[frames], axis=0) / STOP, blurs, cuts])

    def changes(self, frames: NDArray[np.int64]) -> float:
        """The sum of all changes between consecutive `frames`, in stops, blurs and cuts."""
        steps = np.abs(self.steps(frames))
        return float(steps[:, :3].mean(1).sum() + steps[:, 3].sum() + np.count_nonzero(steps[:, 4]))


def draw_light(rng: np.random.Generator, times: Floats, seconds: float) -> Light:
    """Random light: constant in two clips of five, changing in the others; `times` are fractions of the clip."""
    gains = np.zeros((len(times), 3))
    blur = np.full(len(times), rng.uniform(0, 0.003) if rng.random() < 0.3 else 0.0)
    shot = np.zeros(len(times), np.int64)
    chosen = rng.random(5) < 0.24
    if rng.random() < 0.25:
        chosen[:] = False
    if chosen[0]:
        gains += _curve(rng, times)[:, None] * np.exp(rng.uniform(np.log(0.2), np.log(2.0)))
    if chosen[1]:
        flicker = rng.standard_normal(max(2, int(seconds * rng.uniform(3, 12))))
        gains += np.interp(times, np.linspace(0, 1, len(flicker)), flicker)[:, None] * rng.uniform(0.05, 0.5)
    if chosen[2]:
        gains += _curve(rng, times)[:, None] * rng.uniform(-1, 1, 3)
    if chosen[3]:
        blur += np.abs(_curve(rng, times)) * rng.uniform(0.004, 0.014)
    if chosen[4]:
        for _ in range(rng.integers(1, 1 + max(1, round(seconds * 1.5)))):
            shot += times > rng.uniform(0.1, 0.9)
    return Light(np.clip(gains, -2.2, 0.9), blur, shot)


def _curve(rng: np.random.Generator, times: Floats) -> Floats:
    """(frames,) a ramp from 0 to 1 or -1, or there and back, somewhere in the clip."""
    start, length = rng.uniform(-0.1, 0.5), rng.uniform(0.3, 1.0)
    rise: Floats = np.clip((times - start) / length, 0, 1)
    if rng.random() < 0.3:
        rise = 1 - np.abs(2 * rise - 1)
    return rise * (1.0 if rng.random() < 0.5 else -1.0)
