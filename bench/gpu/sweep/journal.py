"""The finished points of a sweep, one JSON object a line, so that a sweep that was killed goes on where it stopped."""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.gpu.sweep.grid import Point, key_of

Raw = dict[str, Any]
"""What was measured at a point, as JSON."""


class JournalError(Exception):
    """The file cannot be continued; the message says why and what to do."""


class Journal:
    """An append-only file: its first line says where the points were measured, every further one is a point.

    A last line without its end, which a kill leaves, is cut off. `JournalError` if another line is damaged, the points
    were measured on another machine or in another way, or another sweep is writing them.
    """

    def __init__(self, path: Path, where: dict[str, Any]) -> None:
        """Open or begin the file; `where` is what all its points have in common."""
        self.path = path
        self._found: dict[str, Raw] = {}
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(where)
        except BlockingIOError:
            self._file.close()
            raise JournalError(f"another sweep is writing {path}") from None
        except BaseException:
            self._file.close()
            raise

    def _read(self, where: dict[str, Any]) -> None:
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            self._file.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        if not lines:
            self._append(where)
            return
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if number > 1:
                    self._found[_text(entry["point"])] = entry["raw"]
            except (ValueError, KeyError, TypeError):
                raise JournalError(f"line {number} of {self.path} is damaged: remove that line, or the file") from None
            if number == 1 and entry != where:
                differing = [name for name in where if not isinstance(entry, dict) or entry.get(name) != where[name]]
                raise JournalError(
                    f"the points in {self.path} were measured with another {' and '.join(differing) or 'sweep'}: "
                    "choose another --directory, or remove the file"
                )

    def find(self, point: Point) -> Raw | None:
        """What was measured at a point; None if it is not finished."""
        return self._found.get(_text(key_of(point)))

    def add(self, point: Point, raw: Raw) -> None:
        """Write a finished point; it is on disk when this returns."""
        key = key_of(point)
        self._append({"point": key, "raw": raw})
        self._found[_text(key)] = raw

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _text(key: dict[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
