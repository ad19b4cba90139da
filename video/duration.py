"""How long a video is, and how many frames it shows per second: by its frames. Headers count where they agree.

A header can be wrong by any factor: a writer may use another clock's units, or never complete a recording's header.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE_SECONDS = 0.5
TOLERANCE_FRAMES = 1.5
TOLERANCE_SHARE = 0.25
"""A header agrees if it is off by at most half a second, or one and a half frames, but never by more than a quarter."""
RATE_TOLERANCE = 0.02
"""A stated frame rate agrees if it counts this share of the frames, or one frame, too many or too few at most."""
NOTICEABLE_FRAMES = 0.5
ROUNDING_SECONDS = 0.001
"""Headers and timestamps are often whole milliseconds."""


@dataclass(frozen=True)
class Duration:
    """The duration of a video stream."""

    seconds: float
    """What the rules count with: the header's duration where it agrees with the frames, else that of the frames."""
    header_seconds: float | None
    """The header's duration if it differs from the frames' by more than half a frame; None if not, or without one."""


def frames_duration(
    timestamps: NDArray[np.float64], last_packet_seconds: float, stated_rate: float, tick_seconds: float
) -> float:
    """Seconds from the first frame to the end of the last one.

    `timestamps` (frames,) are in seconds, ascending, at least one, and multiples of `tick_seconds`.
    `last_packet_seconds` is how long the last frame is shown by its packet, 0 if unknown: it counts where it is not
    longer than the longest gap between frames, nor shorter than half the usual one. A single frame has no gap: the
    packet counts, or 1 / `stated_rate`, which may be 0.
    """
    gaps = np.diff(timestamps)
    if not len(gaps):
        return last_packet_seconds or (1 / stated_rate if stated_rate else 0.0)
    usual = float(np.median(gaps))
    last = usual if last_packet_seconds < usual / 2 else min(last_packet_seconds, float(gaps.max()))
    seconds = float(timestamps[-1] - timestamps[0]) + last
    # The motion rule counts whole seconds: 240 frames at 24 per second in milliseconds add up to 9.9997 s.
    if tick_seconds < usual / 4 and abs(seconds - round(seconds)) <= 1.5 * tick_seconds:
        return float(round(seconds))
    return seconds


def agrees(header_seconds: float, frames_seconds: float, frames: int) -> bool:
    """Whether a header's duration can be that of `frames` frames that last `frames_seconds`."""
    tolerance = max(TOLERANCE_SECONDS, TOLERANCE_FRAMES * frames_seconds / frames)
    return abs(header_seconds - frames_seconds) <= min(tolerance, TOLERANCE_SHARE * frames_seconds)


def choose_duration(header_seconds: float | None, frames_seconds: float, frames: int) -> Duration:
    """The duration of a video whose header states `header_seconds`, None if it states none."""
    if header_seconds is None:
        return Duration(frames_seconds, None)
    if not frames_seconds:  # a single frame of which nothing else is known
        return Duration(header_seconds, None)
    seconds = header_seconds if agrees(header_seconds, frames_seconds, frames) else frames_seconds
    noticeable = max(NOTICEABLE_FRAMES * frames_seconds / frames, ROUNDING_SECONDS)
    differs = abs(header_seconds - frames_seconds) > noticeable
    return Duration(seconds, header_seconds if differs else None)


def frame_rate(timestamps: NDArray[np.float64], stated_rate: float, duration_seconds: float) -> float:
    """Average frames per second: `stated_rate` where the (frames,) timestamps agree with it; 0 if nothing says."""
    counted = len(timestamps) - 1
    if stated_rate > 0:
        stated = stated_rate * float(timestamps[-1] - timestamps[0])
        if abs(stated - counted) <= max(1.0, RATE_TOLERANCE * counted):
            return stated_rate
    return len(timestamps) / duration_seconds if duration_seconds > 0 else stated_rate
