"""Clips as plain files, and a list of them."""

import json
import threading
from pathlib import Path
from typing import IO

from .errors import CutError
from .facts import Facts
from .part import Part
from .place import Place, settle

LIST = "clips.jsonl"
"""The list of finished clips, which `score` reads as a manifest."""


class Files:
    """Writes clips into a folder; a clip is finished once its line is in the list."""

    def __init__(self, place: Place) -> None:
        """Takes up what is there. Raises `CutError` and OSError."""
        self._place = place
        self._lock = threading.Lock()
        self._path = place.root / LIST
        self._done = _read(self._path)
        self._file: IO[str] = self._path.open("a", encoding="utf-8", newline="\n")

    def is_done(self, part: Part, name: str) -> bool:  # noqa: ARG002 - as Output has it
        """Whether an earlier run finished this clip, and its file is still there."""
        return name in self._done and (self._place.root / name).exists()

    def commit(self, part: Part, name: str, facts: Facts, partial: Path) -> None:
        """Put a clip in its place. Raises OSError."""
        settle(partial, self._place.root / name)
        with self._lock:
            if name not in self._done:  # or its line is there, and only the file was removed
                self._file.write(json.dumps(_line(name, part, facts)) + "\n")
                self._file.flush()
                self._done.add(name)

    def resolve(self, part: Part) -> None:
        """A part that failed leaves nothing."""

    def finish(self, total: int) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Close the list."""
        self._file.close()


def _read(path: Path) -> set[str]:
    """The names in the list; a line that a killed run left half is removed."""
    done: set[str] = set()
    if not path.exists():
        return done
    with path.open("rb+") as file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                done.add(json.loads(line)["path"])
            except (ValueError, KeyError, TypeError) as error:
                shown = line.decode(errors="replace").rstrip()[:80]
                raise CutError(f"{path} is damaged: {shown!r} is no line of it; remove that line") from error
        file.truncate(whole)
    return done


def _line(name: str, part: Part, facts: Facts) -> dict[str, object]:
    """A line of the list. The names of its keys leave `path` the only one that a manifest knows."""
    line: dict[str, object] = {
        "path": name,
        "source": part.video,
        "source_start_seconds": part.start_seconds,
        "source_end_seconds": part.end_seconds,
        **about(facts),
    }
    return line


def about(facts: Facts) -> dict[str, object]:
    """What a clip holds, as JSON."""
    content: dict[str, object] = {
        "frames": facts.frames,
        "first_frame_seconds": facts.first_frame_seconds,
        "duration_seconds": facts.duration_seconds,
        "sound": facts.sound,
    }
    if facts.earlier_seconds is not None:
        content |= {"earlier_seconds": facts.earlier_seconds, "later_seconds": facts.later_seconds}
    return content
