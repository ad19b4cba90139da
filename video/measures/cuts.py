"""Cuts, as neighbouring measured frames show them: the colours change, and what is where changes."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from video.measures.picture import Picture

SIDE = 32
"""Of the picture that is compared."""
BINS = 8
"""Of the histogram, for each of R, G and B."""
MIN_HISTOGRAM_CHANGE = 0.3
"""A cut moves at least this share of the pixels to another bin; a moving camera moves fewer."""
MAX_CORRELATION = 0.5
"""At a cut, the pictures correlate less; a change of light leaves the correlation as it is."""
MEAN_LEVEL = 128.0
"""Pictures are compared as if they were so bright on average, so that a fade is no change of colours."""
FLAT_LEVELS = 4.0
"""A picture with a smaller standard deviation is one colour: black between shots, or a flash."""


class Shot(NamedTuple):
    """What is compared of a frame."""

    places: NDArray[np.float32]
    """(32 * 32,) grey levels minus their mean, over their length."""
    colours: NDArray[np.float32]
    """(512,) the share of the pixels in each bin."""


def shot_of(picture: Picture, grey: Picture) -> Shot | None:
    """What tells the shot of a frame from others: of its (240, 240, 3) RGB and (240, 240) grey pictures.

    None for a picture of one colour.
    """
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1)
    small -= small.mean()
    length = float(np.linalg.norm(small))
    if length < FLAT_LEVELS * SIDE:
        return None
    lit = cv2.convertScaleAbs(picture, alpha=MEAN_LEVEL / cv2.mean(grey)[0])
    colours = cv2.calcHist([lit], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3).reshape(-1)
    return Shot(small / length, colours / np.float32(grey.size))


def is_cut(first: Shot, second: Shot) -> bool:
    """Whether two frames are of different shots."""
    if float(np.abs(first.colours - second.colours).sum()) / 2 < MIN_HISTOGRAM_CHANGE:
        return False
    return float(first.places @ second.places) < MAX_CORRELATION


class Cuts:
    """Counts cuts. Frames of one colour are passed over; a single frame between two alike is a flash, not two cuts."""

    def __init__(self) -> None:
        self.count = 0
        self._last: Shot | None = None
        self._before: Shot | None = None
        """The frame before the last one, if there is a cut between them."""

    def take(self, shot: Shot | None) -> None:
        """Count the cut, if any, before the next frame."""
        if shot is None:
            return
        last, before, self._before = self._last, self._before, None
        self._last = shot
        if last is None:
            return
        if before is not None and not is_cut(before, shot):
            self.count -= 1
        elif is_cut(last, shot):
            self.count += 1
            self._before = last
