"""Brightness, sharpness and blackness of one (240, 240) grey picture."""

import cv2
import numpy as np

from video.measures.picture import Picture

BLACK_LEVEL = 25
"""A tenth of the range, as in ffmpeg's `blackdetect`: a pixel is black up to this level."""
BLACK_PIXELS = 0.98
"""A frame is black, and a row is part of a bar, from this share of dark pixels on; also as in `blackdetect`."""


def brightness(grey: Picture) -> float:
    """The mean level."""
    return float(cv2.mean(grey)[0])


def sharpness(grey: Picture) -> float:
    """The variance of the Laplacian (kernel 0 1 0, 1 -4 1, 0 1 0), in squared levels: low for a blurred picture."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return float(deviation[0, 0]) ** 2


def is_black(grey: Picture) -> bool:
    """Whether nearly all pixels are black."""
    return np.count_nonzero(grey <= BLACK_LEVEL) >= BLACK_PIXELS * grey.size
