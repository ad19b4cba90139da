"""The exception of this package."""

from collections.abc import Sequence

NAMED = 3
"""Names that a sentence lists."""


class HeadError(Exception):
    """A head cannot be trained from these files; the message says why in one sentence."""


def counted(count: int, noun: str) -> str:
    """`1 video` or `3 videos`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
