"""The parameters of a request, and their ranges."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from video.errors import InvalidParameter
from video.signals import OF_VIDEO_MOTION, Signal, asked_signals, without_a_choice

_SHARED = Path(__file__).parents[1] / "client" / "_sdk" / "parameters.json"
"""In the client's folder, because the wheel has no other; the image has this file of it alone."""
_NUMBERS: dict[str, dict[str, float]] = json.loads(_SHARED.read_text())
_RANGES = {name: (number["least"], number.get("most", math.inf)) for name, number in _NUMBERS.items()}
_INTEGERS = tuple(name for name, number in _NUMBERS.items() if number.get("whole"))
MAX_SEGMENTS = int(_RANGES["max_clips"][1])
"""The most clips of one video that either network takes: `max_batch_size` of the models."""
MAX_FRAMES = int(_RANGES["frames"][1])
"""The most frames of one video that the image encoder takes."""
_SWITCHES = ("allow_damaged",)
"""Parameters that may also be true or false."""


@dataclass(frozen=True)
class Parameters:
    """How to sample a video; the defaults are the published ones."""

    fps: float = 4.0
    """Frames per second for the motion scores."""
    max_frames: int = 240
    """The most frames for the motion scores, before rounding up to whole segments of 16."""
    clip_seconds: float = 2.0
    """Length of a camera clip."""
    clip_stride_seconds: float | None = None
    """Distance between the starts of camera clips; `clip_seconds` if None."""
    max_clips: int = 32
    """The most camera clips; of a longer video, that many, evenly spread."""
    start_seconds: float | None = None
    """Only frames from this timestamp on are used."""
    end_seconds: float | None = None
    """Only frames before this timestamp are used."""
    from_first_frame: int = 0
    """1 if `start_seconds` and `end_seconds` count from the first frame's timestamp, 0 if they are timestamps."""
    allow_damaged: int = 0
    """1: a damaged or truncated video is scored on what decodes, if that is at least half of it."""
    frames: int = 16
    """How many frames the image encoder gets, evenly spread."""
    signals: tuple[Signal, ...] = OF_VIDEO_MOTION
    """What to prepare frames for."""

    @property
    def stride_seconds(self) -> float:
        """`clip_stride_seconds`, or its default."""
        return self.clip_seconds if self.clip_stride_seconds is None else self.clip_stride_seconds

    @classmethod
    def from_request(cls, request: Mapping[str, object], served: Collection[Signal] = OF_VIDEO_MOTION) -> "Parameters":
        """Check a request's parameters: numbers, or text that contains one, and `signals`.

        `signals` may name what is `served`; without it, it is all of that but for `metrics`.
        Raises `InvalidParameter` that names the parameter, its value and its range.
        """
        known = [field.name for field in fields(cls)]
        values: dict[str, Any] = {"signals": without_a_choice(served)}
        for name, value in request.items():
            if name not in known:
                raise InvalidParameter(f"unknown parameter {name[:40]!r}; the parameters are {', '.join(known)}")
            values[name] = asked_signals(value, served) if name == "signals" else _number(name, value)
        start, end = values.get("start_seconds"), values.get("end_seconds")
        if start is not None and end is not None and end <= start:
            raise InvalidParameter(f"end_seconds is {end:g}, which is not after start_seconds, {start:g}")
        return cls(**values)


def _number(name: str, value: object) -> float:
    low, high = _RANGES[name]
    kind = "a whole number" if name in _INTEGERS else "a number"
    allowed = f"{kind} from {low:g} to {high:g}" if math.isfinite(high) else f"{kind} of at least {low:g}"
    try:
        if name in _SWITCHES and isinstance(value, bool):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not (math.isfinite(number) and low <= number <= high):
            raise ValueError
        if name in _INTEGERS:
            if number != int(number):
                raise ValueError
            return int(number)
    except (ValueError, OverflowError):
        shown = repr(value[:40] if isinstance(value, str) else value)
        raise InvalidParameter(f"{name} is {shown}, it must be {allowed}") from None
    return number
