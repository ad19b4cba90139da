"""One video to score, or a part of one."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A video, or a part of one, to score."""

    path: str
    """The file, as the user named it."""
    start_seconds: float | None = None
    """Start of the part, if a manifest gives one."""
    end_seconds: float | None = None
    """End of the part, if a manifest gives one."""

    @property
    def video(self) -> str:
        """The path as text; bytes that are not UTF-8 become backslash escapes."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    @property
    def part(self) -> dict[str, float]:
        """The request parameters that select the part; empty for the whole video."""
        part = {"start_seconds": self.start_seconds, "end_seconds": self.end_seconds}
        return {name: seconds for name, seconds in part.items() if seconds is not None}

    @property
    def key(self) -> bytes:
        """Identifies the item in a journal."""
        return b"\0".join([os.fsencode(self.path), *(repr(item).encode() for item in self.part.items())])
