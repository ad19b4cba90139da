"""Resizing frames to the networks' input size; RGB uint8 in and out."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from video.clips import FRAME_SIZE as SIZE

Frame = NDArray[np.uint8]


def stretch(frame: Frame) -> Frame:
    """(height, width, 3) to (224, 224, 3): bilinear, half-pixel centers, no antialiasing, as the motion rule requires.

    The same as `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, rounded.
    """
    height, width, _ = frame.shape
    top, bottom, down = _taps(height)
    left, right, across = _taps(width)
    # Only the columns that are used become floats: a large frame costs little more than a small one.
    above, below = frame[top], frame[bottom]
    on_left, on_right = (_mix(above[:, columns], below[:, columns], down[:, None, None]) for columns in (left, right))
    return np.rint(_mix(on_left, on_right, across[:, None])).astype(np.uint8)


def crop(frame: Frame, shortest_edge: int) -> Frame:
    """(height, width, 3) to (224, 224, 3): the shorter side to `shortest_edge`, antialiased, then a center crop.

    The same as transformers' image processor with Pillow.
    """
    height, width, _ = frame.shape
    if width < height:
        size = (shortest_edge, int(shortest_edge * height / width))
    else:
        size = (int(shortest_edge * width / height), shortest_edge)
    left, top = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
    across, down = width / size[0], height / size[1]
    # The part that is cropped away is not resized: half the work for a wide frame, and bounded work for any.
    box = (left * across, top * down, (left + SIZE) * across, (top + SIZE) * down)
    return np.asarray(Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


@lru_cache(maxsize=64)
def _taps(length: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of 224 outputs, the two neighbours among `length` inputs and the weight of the second."""
    scale = np.float32(length) / np.float32(SIZE)
    centre = np.maximum(scale * (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5), 0)
    first = centre.astype(np.intp)
    second = np.minimum(first + 1, length - 1)
    return first, second, (centre - first).astype(np.float32)


def _mix(first: NDArray, second: NDArray, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    first = first.astype(np.float32, copy=False)
    return first + (second - first) * weight
