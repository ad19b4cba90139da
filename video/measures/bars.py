"""Black bars: rows above and below, and columns left and right, that are dark in every frame."""

import numpy as np
from numpy.typing import NDArray

from video.measures.light import BLACK_PIXELS
from video.measures.picture import Picture
from video.measures.picture_form import HEIGHT, WIDTH

BAR_LEVEL = 16
"""A pixel of a bar is at most so bright; bars are darker than what is called black in a picture."""
Lines = NDArray[np.bool_]
"""Which rows or columns are dark."""


def dark_lines(grey: Picture) -> tuple[Lines, Lines]:
    """The rows, (320,), and the columns, (240,), of a whole (320, 240) grey picture that a bar may have."""
    dark = grey <= BAR_LEVEL
    rows, columns = np.count_nonzero(dark, axis=1), np.count_nonzero(dark, axis=0)
    return rows >= BLACK_PIXELS * WIDTH, columns >= BLACK_PIXELS * HEIGHT


class Bars:
    """The bars of a video. Those of two opposite sides are as wide as the narrower one: night sky is no bar."""

    def __init__(self) -> None:
        self._rows, self._columns = np.ones(HEIGHT, np.bool_), np.ones(WIDTH, np.bool_)
        self._seen = False

    def take(self, rows: Lines, columns: Lines) -> None:
        """Add the dark lines of a frame that is not black."""
        self._rows &= rows
        self._columns &= columns
        self._seen = True

    @property
    def share(self) -> float | None:
        """The share of the picture that they take, from 0 to 1; None before the first frame."""
        if not self._seen:
            return None
        return 1 - (1 - _both_sides(self._rows)) * (1 - _both_sides(self._columns))


def _both_sides(dark: Lines) -> float:
    """Twice the shorter run of dark lines at the two ends, as a share of all lines."""
    if dark.all():
        return 1.0
    bright = np.flatnonzero(~dark)
    return 2 * min(int(bright[0]), len(dark) - 1 - int(bright[-1])) / len(dark)
