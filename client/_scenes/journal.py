"""The journal of a file of scenes: what was found in each video, a line of JSON each; a killed run resumes from it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._inputs.item import Item
from .._lock import lock
from .._tables.journal import JournalError, OtherTerms
from .scene import Scene
from .settings import Settings

_KIND = "video-motion scenes"
VERSION = 1


@dataclass(frozen=True)
class Entry:
    """What was found in a video."""

    path: str
    """The file, as the user named it; bytes that are not UTF-8 are escaped."""
    scenes: tuple[Scene, ...]
    """Its scenes."""
    error: str | None
    """Why it has none."""


class Journal:
    """The entries of one output, appended one by one; locked while it is open. Every method raises `JournalError`."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open it or begin it. Raises `OtherTerms` if it was begun with other settings."""
        self.path = path
        self._file = path.open("a+b")
        if not lock(self._file):
            self._file.close()
            raise JournalError(f"another run is writing to {path}")
        self._numbers: dict[str, int] = {}
        """The number of the last entry, by each name of its video."""
        self._failed: set[int] = set()
        self._replaced: set[int] = set()
        self._count = 0
        self._scenes: dict[int, int] = {}
        """Number of scenes of each entry that has any."""
        try:
            self._begin(settings)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Unlock it for other runs."""
        self._file.close()

    @property
    def videos(self) -> int:
        """Number of videos in it."""
        return self._count - len(self._replaced)

    @property
    def failures(self) -> int:
        """Number of videos in it that have no scenes."""
        return len(self._failed)

    @property
    def scenes(self) -> int:
        """Number of scenes of all videos."""
        return sum(self._scenes.values())

    def has(self, item: Item, *, scenes: bool = False) -> bool:
        """Whether it has the video, under any name; with `scenes`, whether it has scenes for it."""
        numbers = [self._numbers[name] for name in names_of(item) if name in self._numbers]
        return bool(numbers) and not (scenes and numbers[0] in self._failed)

    def add(self, item: Item, entry: Entry) -> None:
        """Add a video, in place of what there was; it is on the disk when this returns."""
        line: dict[str, Any] = {"names": names_of(item), "path": entry.path}
        line |= {"scenes": entry.scenes} if entry.error is None else {"error": entry.error}
        self._write(line)
        self._note(line)

    def entries(self) -> Iterator[Entry]:
        """The last entry of each video, in the order in which they were added."""
        number = 0
        for line in self._lines():
            if "names" not in line:
                continue
            if number not in self._replaced:
                scenes = tuple((start, end) for start, end in line.get("scenes", ()))
                yield Entry(line["path"], scenes, line.get("error"))
            number += 1

    def _begin(self, settings: Settings) -> None:
        terms = {"journal": _KIND, "version": VERSION, "settings": settings.as_dict()}
        self._check_kind()
        self._cut_torn_line()
        lines = self._lines()
        first = next(lines, None)
        if first is None:
            self._write(terms)
            return
        if first.get("journal") != _KIND or first.get("version") != VERSION:
            raise self._other_kind()
        for name, now in terms["settings"].items():  # type: ignore[attr-defined]
            if (then := first["settings"].get(name)) != now:
                raise OtherTerms(
                    f"{self.path} was begun with {name} {_shown(then)}, now it is {_shown(now)}: "
                    "choose another name for the output, or delete it and its journal"
                )
        for line in lines:
            self._note(line)

    def _check_kind(self) -> None:
        """Before anything is cut off: it may be a file of another command. Raises `JournalError`."""
        self._file.seek(0)
        beginning = json.dumps({"journal": _KIND})[:-1].encode()
        if not beginning.startswith(self._file.read(len(beginning))):  # a killed run may have left less
            raise self._other_kind()

    def _other_kind(self) -> JournalError:
        return JournalError(f"{self.path} is not a journal of scenes: choose another name for the output")

    def _cut_torn_line(self) -> None:
        """What is behind the last end of a line was being written when the program was killed."""
        size = self._file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65536)
            self._file.seek(start)
            found = self._file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            self._file.truncate(end)

    def _lines(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        for number, text in enumerate(self._file, 1):
            try:
                line = json.loads(text)
            except ValueError as error:
                raise self._damaged(number) from error
            sound = isinstance(line, dict) and (
                (number == 1 and isinstance(line.get("settings", {}), dict))
                or (isinstance(line.get("names"), list) and isinstance(line.get("path"), str))
            )
            if not sound:
                raise self._damaged(number)
            yield line

    def _note(self, line: dict[str, Any]) -> None:
        number, self._count = self._count, self._count + 1
        for name in line["names"]:
            if (before := self._numbers.get(name)) is not None and before != number:
                self._replaced.add(before)
                self._failed.discard(before)
                self._scenes.pop(before, None)
            self._numbers[name] = number
        if "error" in line:
            self._failed.add(number)
        else:
            self._scenes[number] = len(line["scenes"])

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _damaged(self, number: int) -> JournalError:
        return JournalError(
            f"{self.path} is damaged (line {number}): restore it from a copy, or choose another name for the output"
        )


def names_of(item: Item) -> list[str]:
    """What identifies a video: its name and, if there can be such a file, the file itself."""
    place = item.place
    return [item.key.hex(), *([] if place is None else [place.hex()])]


def _shown(value: object) -> str:
    return json.dumps(value)
