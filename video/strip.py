"""When a video is stripped, and what comes of it."""

from enum import StrEnum
from typing import NamedTuple


class Strip(StrEnum):
    """When the wanted part of a video is written as a file of its own."""

    NEVER = "never"
    WHERE_IT_PAYS = "where_it_pays"
    """Where decoding that file with FFmpeg saves more time than writing it takes."""
    WHERE_SAFE = "where_safe"
    """Wherever the wanted frames of that file are certain to be those of the video, with DALI too."""


class Stripped(NamedTuple):
    """What was written."""

    bytes: int
    """Size of the file."""
    indices: list[int]
    """The wanted frames, counted in the file in order of display."""


NOT_STRIPPED = Stripped(0, [])
