"""What a caller may ask of a score besides the video."""

import math
from typing import TypedDict


class Parameters(TypedDict, total=False):
    """The parameters of a request, all optional; None is as good as leaving one out."""

    fps: float | None
    """Frames per second that the motion scores look at (server's default: 4)."""
    max_frames: int | None
    """The most frames that they look at (240)."""
    clip_seconds: float | None
    """Length of a camera clip (2)."""
    clip_stride_seconds: float | None
    """From one camera clip's start to the next one's (`clip_seconds`)."""
    max_clips: int | None
    """The most camera clips, evenly spread where there are more (32)."""
    start_seconds: float | None
    """Look only at frames from this timestamp on."""
    end_seconds: float | None
    """Look only at frames before this timestamp."""


NAMES = tuple(Parameters.__annotations__)
WHOLE = ("max_frames", "max_clips")
"""The parameters that are whole numbers."""
RANGES: dict[str, tuple[float, float]] = {
    "fps": (0.01, 240),
    "max_frames": (1, 496),
    "clip_seconds": (0.01, 3600),
    "clip_stride_seconds": (0.01, 3600),
    "max_clips": (1, 32),
    "start_seconds": (0, math.inf),
    "end_seconds": (0, math.inf),
}
"""What the server takes; here so that a million requests need not be made to learn of a mistake."""


def given(parameters: Parameters) -> dict[str, float]:
    """Those that were given, as plain numbers: tritonclient takes none of numpy's."""
    numbers: dict[str, float] = {}
    for name, value in parameters.items():
        if name not in NAMES:
            raise TypeError(f"there is no parameter {name!r}; the parameters are {', '.join(NAMES)}")
        if value is not None:
            number = float(value)  # type: ignore[arg-type]  # a TypedDict's items are objects to the type checker
            numbers[name] = int(number) if name in WHOLE and number.is_integer() else number
    return numbers
