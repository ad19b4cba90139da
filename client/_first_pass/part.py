"""The part of a video to look at."""

from typing import NamedTuple


class Part(NamedTuple):
    """As in a request."""

    start_seconds: float | None = None
    end_seconds: float | None = None
    from_first_frame: bool = False
    """Whether these times count from the first frame, and are no timestamps."""


WHOLE = Part()
"""A whole video."""
