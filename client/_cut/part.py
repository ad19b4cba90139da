"""What is to be cut, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Part:
    """A part of a video, or all of it."""

    index: int
    """Its place in the list, from 0; rows that cannot be cut have none."""
    video: str
    """The file as the list names it."""
    path: Path | str | None
    """The file, or its URL as text; None if there is none, which `problem` says."""
    start_seconds: float | None
    """Its start; None for the first frame."""
    end_seconds: float | None
    """Its end; None for the end of the video."""
    from_first_frame: bool = False
    """Whether times count from the first frame; they are timestamps otherwise."""
    problem: str | None = None
    """Why it cannot be cut, if that is known before: the list says so, or there is no file."""
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What a template may name: columns with a single value."""
    row: Callable[[], dict[str, Any]] = field(default=dict, compare=False)
    """Makes the row of the list as a JSON object."""

    @property
    def shown(self) -> str:
        """For messages: the file, and which part of it."""
        if self.start_seconds is None and self.end_seconds is None:
            return self.video
        end = "the end" if self.end_seconds is None else f"{self.end_seconds:g} s"
        return f"{self.video}, {self.start_seconds or 0:g} s to {end}"
