"""Whether a request to `video_decode` is one that `video_sampling` makes; holders of the server's key may call it."""

import numpy as np
from numpy.typing import NDArray

from video.clips import CLIP_FRAMES
from video.errors import InvalidParameter
from video.measures.frames import MAX_MEASURED
from video.parameters import MAX_FRAMES, MAX_SEGMENTS

MAX_PLACES = MAX_SEGMENTS * CLIP_FRAMES
"""Positions in an order: the frames of the most clips that a network takes."""
MAX_WANTED = 2 * MAX_PLACES + MAX_FRAMES + MAX_MEASURED
"""Distinct frames in all orders together."""
ORDERS = ("FRAME_INDICES", "MOTION_ORDER", "CAMERA_ORDER")
"""The inputs with the wanted frames, and for each kind of clip the positions of its frames among them."""
FRAME_ORDER = "FRAME_ORDER"
"""The input with the positions of the frames for the image encoder."""
METRIC_ORDER = "METRIC_ORDER"
"""The input with the positions of the frames that are measured."""
NO_FRAMES: NDArray[np.int32] = np.empty(0, np.int32)
"""A FRAME_ORDER or METRIC_ORDER without frames."""


def check_orders(
    frame_indices: NDArray[np.integer],
    motion_order: NDArray[np.integer],
    camera_order: NDArray[np.integer],
    frame_order: NDArray[np.integer] = NO_FRAMES,
    metric_order: NDArray[np.integer] = NO_FRAMES,
) -> None:
    """Raise `InvalidParameter` unless the flat arrays can be FRAME_INDICES and the orders.

    Sizes come first: nothing is allocated for a request that is too large. Whether the indices ascend and whether the
    video has these frames is for the decoder to find out.
    """
    if not 1 <= len(frame_indices) <= MAX_WANTED:
        allowed = f"their number must be from 1 to {MAX_WANTED}"
        raise InvalidParameter(f"there are {len(frame_indices)} frame indices; {allowed}")
    for order in (motion_order, camera_order):
        if len(order) % CLIP_FRAMES or len(order) > MAX_PLACES:
            allowed = f"a multiple of {CLIP_FRAMES}, at most {MAX_PLACES}"
            raise InvalidParameter(f"an order has {len(order)} positions; their number must be {allowed}")
    if len(frame_order) > MAX_FRAMES:
        raise InvalidParameter(
            f"FRAME_ORDER has {len(frame_order)} positions; their number must be at most {MAX_FRAMES}"
        )
    if len(metric_order) > MAX_MEASURED:
        raise InvalidParameter(
            f"METRIC_ORDER has {len(metric_order)} positions; their number must be at most {MAX_MEASURED}"
        )
    orders = (motion_order, camera_order, frame_order, metric_order)
    if not any(map(len, orders)):
        raise InvalidParameter("all orders are empty: one of them must have a frame")
    for order in orders:
        if len(order) and not (order.min() >= 0 and order.max() < len(frame_indices)):
            raise InvalidParameter(f"an order has positions outside the {len(frame_indices)} frames to decode")
    if (np.diff(metric_order) <= 0).any():
        raise InvalidParameter("the positions in METRIC_ORDER must ascend")


def for_dali(order: NDArray[np.integer]) -> NDArray[np.int32]:
    """An order as an input of `video_decode_nvdec`, where -1 stands for an empty one."""
    return (order if len(order) else np.array([-1])).astype(np.int32)


def from_dali(order: NDArray[np.integer]) -> NDArray[np.integer]:
    """The order in such an input."""
    return order[:0] if order.tolist() == [-1] else order


def check_stripped(frame_indices: NDArray[np.integer], stripped_indices: NDArray[np.integer]) -> None:
    """Raise `InvalidParameter` unless there is a STRIPPED_INDICES for each of FRAME_INDICES, ascending from 0 on."""
    if len(stripped_indices) != len(frame_indices):
        these = f"there are {len(stripped_indices)} indices of a stripped video"
        raise InvalidParameter(f"{these}; their number must be that of the frame indices, {len(frame_indices)}")
    if stripped_indices[0] < 0 or (np.diff(stripped_indices) <= 0).any():
        raise InvalidParameter("the indices of a stripped video must ascend from 0 on")
