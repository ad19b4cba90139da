"""Exceptions of captioning.

CaptionError
├── Unanswered      one video has no caption: a row with an error
└── Stopped         no video can get one now: the run ends, and can be resumed
"""


class CaptionError(Exception):
    """The message says in one sentence what is wrong."""


class Unanswered(CaptionError):
    """One video has no caption."""


class Stopped(CaptionError):
    """The next video would fail for the same reason."""
