"""What is measured of one frame."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from video.measures import bars, cuts, light
from video.measures.picture import Picture, grey, resized, square


class Look(NamedTuple):
    """One measured frame."""

    picture: Picture
    """(240, 240, 3) RGB."""
    grey: Picture
    """(240, 240)."""
    brightness: float
    sharpness: float
    is_black: bool
    dark_rows: NDArray[np.bool_]
    """(320,) of the whole picture."""
    dark_columns: NDArray[np.bool_]
    """(240,)"""
    shot: cuts.Shot | None
    """What tells its shot from others; None for a frame of one colour."""


def look_at(frame: Picture) -> Look:
    """The measures of a frame as it is displayed, (height, width, 3) RGB."""
    whole = resized(frame)
    whole_grey = grey(whole)
    picture, centre = square(whole), square(whole_grey)
    return Look(
        picture,
        centre,
        light.brightness(centre),
        light.sharpness(centre),
        light.is_black(centre),
        *bars.dark_lines(whole_grey),
        cuts.shot_of(picture, centre),
    )
