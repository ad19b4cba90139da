"""What a first pass sees of a video: small grey pictures, and how much they change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._tables.row import FIRST_PASS_COLUMNS

WIDTH, HEIGHT = 64, 48
"""Of a small picture, whatever the shape of the video."""
CELL = 4
"""Rows and columns of a cell of a small picture."""
SAME_LEVELS = 1.25
"""A picture stands still if no cell differs by so many levels: what an encoder refreshes differs by less."""
BLACK_LEVEL = 25
"""A tenth of the range, as in ffmpeg's `blackdetect`: a pixel is black up to this level."""
BLACK_PIXELS = 0.98
"""A picture is black from this share of black pixels on; also as in `blackdetect`."""
LEAST_PICTURES = 4
"""A video with fewer is not judged: it lasts less than about a second."""

Picture = NDArray[np.uint8]
"""(48, 64) grey levels."""


@dataclass(frozen=True)
class Look:
    """The measures of a first pass over a whole video or part."""

    change: float
    """Levels, 0 to 255: the largest change of a cell from the first picture to any other, as a mean over its pixels."""
    black_share: float
    """From 0 to 1: the share of the pictures that are black."""
    frozen_share: float
    """From 0 to 1: the share of the pictures after the first that look like the last one that was new."""

    def as_row(self) -> dict[str, float]:
        """The columns of a table."""
        values = (self.change, self.black_share, self.frozen_share)
        return {name: round(value, 6) for name, value in zip(FIRST_PASS_COLUMNS, values, strict=True)}


NO_LOOK: dict[str, float | None] = dict.fromkeys(FIRST_PASS_COLUMNS)
"""The columns of a video that was not looked at to its end."""


class Looking:
    """Measures small pictures in their order."""

    def __init__(self) -> None:
        self.pictures = 0
        """How many there were."""
        self.lit = 0
        """How many of them are not black."""
        self.new = 0
        """How many after the first differ from the last new one."""
        self.change = 0.0
        """The largest change from the first one."""
        self._first: Picture | None = None
        self._newest: Picture | None = None

    def take(self, picture: Picture) -> None:
        """Measure the next (48, 64) picture."""
        self.pictures += 1
        self.lit += np.count_nonzero(picture <= BLACK_LEVEL) < BLACK_PIXELS * picture.size
        if self._first is None or self._newest is None:
            self._first = self._newest = picture
            return
        self.change = max(self.change, largest_change(self._first, picture))
        # Against the last new one, so that a slow change adds up.
        if largest_change(self._newest, picture) >= SAME_LEVELS:
            self.new += 1
            self._newest = picture

    def result(self) -> Look | None:
        """The measures so far; None if there are too few pictures."""
        if self.pictures < LEAST_PICTURES:
            return None
        return Look(self.change, 1 - self.lit / self.pictures, 1 - self.new / (self.pictures - 1))


def largest_change(first: Picture, second: Picture) -> float:
    """Levels: the largest mean absolute difference of the cells of two (48, 64) pictures."""
    difference = np.abs(first.astype(np.int16) - second)
    return float(difference.reshape(HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean(axis=(1, 3)).max())
