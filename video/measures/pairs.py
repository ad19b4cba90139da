"""What changes between two neighbouring frames."""

from typing import NamedTuple

import cv2

from video.measures.picture import Picture

FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)
"""Scale of the pyramid, levels, window, iterations, neighbourhood, its standard deviation, flags."""
FROZEN_DIFFERENCE = 0.5
"""Squared levels: a pair that differs less does not change. What an encoder makes of a still picture differs so."""


class Pair(NamedTuple):
    """The change between two frames."""

    rgb_diff: float
    """Squared levels: the mean squared difference of RGB levels."""
    velocity: float
    """Pixels: the mean length of the optical flow."""

    @property
    def is_frozen(self) -> bool:
        """Whether nothing changes."""
        return self.rgb_diff < FROZEN_DIFFERENCE


def compare(first: Picture, second: Picture, first_grey: Picture, second_grey: Picture) -> Pair:
    """The change from one (240, 240, 3) RGB picture to the next, given their (240, 240) grey ones."""
    return Pair(rgb_difference(first, second), velocity(first_grey, second_grey))


def rgb_difference(first: Picture, second: Picture) -> float:
    """The mean squared difference of the levels of two pictures."""
    return float(cv2.norm(first, second, cv2.NORM_L2SQR)) / first.size


def velocity(first: Picture, second: Picture) -> float:
    """The mean length, in pixels, of Farneback's optical flow between two grey pictures."""
    flow = cv2.calcOpticalFlowFarneback(first, second, None, *FARNEBACK)
    return float(cv2.mean(cv2.magnitude(*cv2.split(flow)))[0])
