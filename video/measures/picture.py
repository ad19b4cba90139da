"""The size in which frames are measured; RGB uint8 in and out."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from video.measures.picture_form import HEIGHT, SIDE, WIDTH

TOP, LEFT = (HEIGHT - SIDE) // 2, (WIDTH - SIDE) // 2

Picture = NDArray[np.uint8]


def resized(frame: Picture) -> Picture:
    """(height, width, 3) to (320, 240, 3): stretched, with Pillow's bilinear filter, which is antialiased."""
    return np.asarray(Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def square(picture: Picture) -> Picture:
    """The (240, 240, ...) centre of a (320, 240, ...) picture."""
    return np.ascontiguousarray(picture[TOP : TOP + SIDE, LEFT : LEFT + SIDE])


def grey(picture: Picture) -> Picture:
    """(height, width) of (height, width, 3): OpenCV's grey, 0.299 R + 0.587 G + 0.114 B, rounded."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
