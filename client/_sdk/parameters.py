"""The parameters of a request."""

import math
from typing import TypedDict


class Parameters(TypedDict, total=False):
    """The parameters of a request, all optional; None is the same as leaving one out."""

    fps: float | None
    """Frames per second for the motion scores (server's default: 4)."""
    max_frames: int | None
    """Maximum number of frames for the motion scores (240)."""
    clip_seconds: float | None
    """Length of a camera clip in seconds (2)."""
    clip_stride_seconds: float | None
    """Seconds from the start of one camera clip to the start of the next (`clip_seconds`)."""
    max_clips: int | None
    """Most camera clips; a video with more gets this many, evenly spread (32)."""
    start_seconds: float | None
    """Ignore frames before this timestamp."""
    end_seconds: float | None
    """Ignore frames at or after this timestamp."""
    allow_damaged: int | None
    """True or 1: score what decodes of a damaged or truncated video, if that is at least half of it (False)."""


NAMES = tuple(Parameters.__annotations__)
WHOLE = ("max_frames", "max_clips", "allow_damaged")
"""The parameters that are whole numbers, or true and false."""
RANGES: dict[str, tuple[float, float]] = {
    "fps": (0.01, 240),
    "max_frames": (1, 496),
    "clip_seconds": (0.01, 3600),
    "clip_stride_seconds": (0.01, 3600),
    "max_clips": (1, 32),
    "start_seconds": (0, math.inf),
    "end_seconds": (0, math.inf),
    "allow_damaged": (0, 1),
}
"""What the server accepts, so that a command line is checked before a million requests fail."""


def given(parameters: Parameters) -> dict[str, float]:
    """The parameters that are not None, as plain numbers: tritonclient rejects numpy's. TypeError for unknown names."""
    numbers: dict[str, float] = {}
    for name, value in parameters.items():
        if name not in NAMES:
            raise TypeError(f"there is no parameter {name!r}; the parameters are {', '.join(NAMES)}")
        if value is not None:
            number = float(value)  # type: ignore[arg-type]  # a TypedDict's items are objects to the type checker
            numbers[name] = int(number) if name in WHOLE and number.is_integer() else number
    return numbers
