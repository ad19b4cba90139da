"""Which frames are measured."""

import numpy as np
from numpy.typing import NDArray

from video.errors import InvalidVideo, Reason

INTERVAL_SECONDS = 0.25
"""Frames are measured so far apart, or further where the video has fewer frames."""
MAX_MEASURED = 4800
"""Frames of one video or part: 20 minutes."""


def measured_frames(timestamps: NDArray[np.float64], tolerance_seconds: float) -> NDArray[np.int64]:
    """(measured,) ascending indices: for k = 0, 1, 2, ... the first frame at least k * 0.25 s after the first one.

    `timestamps` (frames,) are in seconds, ascending, at least one; a frame that is `tolerance_seconds` early is in
    time. A frame that serves several k is there once. Raises `InvalidVideo` if there are more than `MAX_MEASURED`.
    """
    # A frame serves a k if it is the first of its quarter of a second: no list of all k, which a file could make long.
    quarters = np.floor((timestamps - timestamps[0] + tolerance_seconds) / INTERVAL_SECONDS)
    measured = np.flatnonzero(np.diff(quarters, prepend=-1) > 0)
    if len(measured) > MAX_MEASURED:
        raise InvalidVideo(
            f"its measures take {len(measured)} frames, {1 / INTERVAL_SECONDS:g} for each second; the maximum is "
            f"{MAX_MEASURED}: request a part of the video (start_seconds, end_seconds)",
            Reason.TOO_LARGE,
        )
    return measured
