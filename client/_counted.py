"""Counts in messages."""


def counted(count: int, noun: str) -> str:
    """A count with its noun, which takes an s for all counts but one: `1 video`, `1,200 videos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
