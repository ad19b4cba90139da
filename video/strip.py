"""When a video is stripped, and what comes of it."""

from enum import StrEnum
from typing import NamedTuple


class Strip(StrEnum):
    """When the wanted part of a video is written as a file of its own."""

    NEVER = "never"
    WHERE_IT_PAYS = "where_it_pays"
    """Where decoding that file with FFmpeg saves more time than writing it takes."""
    FOR_FFMPEG = "for_ffmpeg"
    """Wherever FFmpeg is certain to find the wanted frames in that file."""
    WHERE_SAFE = "where_safe"
    """Wherever both FFmpeg and DALI are certain to find them."""


class Stripped(NamedTuple):
    """What was written."""

    bytes: int
    """Size of the file."""
    indices: list[int]
    """The wanted frames, counted in the file in order of display."""


NOT_STRIPPED = Stripped(0, [])
