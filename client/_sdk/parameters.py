"""The parameters of a request."""

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import TypedDict

from ..errors import InvalidRequest


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
    from_first_frame: bool | int | None
    """True or 1: `start_seconds` and `end_seconds` count from the video's first frame, and are no timestamps (0)."""
    allow_damaged: bool | int | None
    """True or 1: score what decodes of a damaged or truncated video, if that is at least half of it (False)."""
    frames: int | None
    """Number of evenly spaced frames for the signal `frames`, and for heads over them (16)."""
    signals: str | Sequence[str] | None
    """What to compute, of `motion`, `camera`, `segments`, `frames` and `actions` (None: `motion` and `camera`)."""


REASON = "invalid_parameter"
_LARGEST_WHOLE = 2**63
"""What a request can carry as a whole number; the server refuses larger ones as numbers out of range."""
NAMES = tuple(Parameters.__annotations__)
TEXTS = ("signals",)
"""The parameters that are no numbers."""
_NUMBERS: dict[str, dict[str, float]] = json.loads(files(__package__).joinpath("parameters.json").read_text())
"""The ranges of the parameters that are numbers: the server reads the same file."""
WHOLE = tuple(name for name, number in _NUMBERS.items() if number.get("whole"))
"""The parameters that are whole numbers."""
RANGES = {name: (number["least"], number.get("most", math.inf)) for name, number in _NUMBERS.items()}
"""What the server accepts, so that a command line is checked before a million requests fail."""


class UnknownParameter(InvalidRequest, TypeError):
    """There is no such parameter: also the TypeError that Python raises for an unknown argument."""


def given(parameters: Parameters) -> dict[str, float]:
    """The numbers among the parameters that are not None, as plain ones: tritonclient rejects numpy's.

    Raises `UnknownParameter`, and `InvalidRequest` for a value that is no number.
    """
    numbers: dict[str, float] = {}
    for name, value in parameters.items():
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise UnknownParameter(f"there is no parameter {name!r}; the parameters are {known}", reason=REASON)
        if value is not None and name not in TEXTS:
            try:
                number = float(value)  # type: ignore[arg-type]  # a TypedDict's items are objects to the type checker
            except (TypeError, ValueError, OverflowError) as error:
                raise InvalidRequest(f"the parameter {name} is not a number", reason=REASON) from error
            whole = name in WHOLE and number.is_integer() and abs(number) < _LARGEST_WHOLE
            numbers[name] = int(number) if whole else number
    return numbers
