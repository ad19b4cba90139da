"""A manifest that is being read, and how its rows become items."""

import math
import os
from dataclasses import dataclass, field

from ..errors import InvalidRequest, UnreadableFile
from .item import Content, Item
from .names import as_text, shown
from .skipped import Skipped

COLUMNS = ("path", "video", "file_name", "video_path", "file_path", "filename")
"""Columns that may name a video; the first one found is used."""
PART = ("start_seconds", "end_seconds")
"""Columns that select a part of it."""
_VALUE_SHOWN = 60


@dataclass(frozen=True)
class Listing:
    """A manifest, or standard input: makes an item of each row."""

    path: str | None
    """The manifest; None for standard input."""
    skipped: Skipped
    """Takes what is left out."""
    _folder: str | None = field(init=False)

    def __post_init__(self) -> None:
        folder = os.path.dirname(self.path or "")
        elsewhere = bool(folder) and os.path.realpath(folder) != os.path.realpath(".")
        object.__setattr__(self, "_folder", folder if elsewhere else None)

    @property
    def shown(self) -> str:
        """The manifest's name for messages."""
        return "standard input" if self.path is None else shown(self.path)

    def locate(self, name: str) -> str:
        """A relative name is looked for in the working directory, then beside the manifest."""
        if self._folder is None or os.path.isabs(name) or os.path.lexists(name):
            return name
        beside = os.path.join(self._folder, name)
        return beside if os.path.lexists(beside) else name

    def item(self, name: object, number: int, start: object = None, end: object = None) -> Item | None:
        """The item of row `number`, or one with a problem; None, and counted, if the row names nothing."""
        if name is None or name == "" or name == b"":
            self.skipped.row()
            return None
        if not isinstance(name, str):
            return self.wrong(number, f"row {number} names no video but has {_value(name)}")
        return _item(self.locate(name), None, start, end)

    def content(self, data: bytes, name: str | None, number: int, start: object = None, end: object = None) -> Item:
        """The item of a row that holds the encoded file itself."""
        return _item(name or self._row_name(number), Content(data, name), start, end)

    def wrong(self, number: int, why: str) -> Item:
        """The item of a row that cannot be read."""
        return Item(self._row_name(number), problem=UnreadableFile(why))

    def trouble(self, why: str) -> None:
        """Note that the rest of the manifest cannot be read."""
        self.skipped.trouble(f"{self.shown}: {why}")

    def _row_name(self, number: int) -> str:
        return f"{'-' if self.path is None else self.path}#{number}"


def _item(name: str, content: Content | None, start: object, end: object) -> Item:
    try:
        return Item(name, _seconds(start), _seconds(end), content)
    except InvalidRequest as problem:
        return Item(name, content=content, problem=problem)


def _seconds(value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if math.isfinite(number) and number >= 0:
        return number
    raise InvalidRequest(f"{_value(value)} is not a time in seconds", reason="invalid_parameter")


def _value(value: object) -> str:
    """A value for messages, cut."""
    if isinstance(value, str):
        return f"'{shown(value, _VALUE_SHOWN)}'"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return shown(as_text(repr(value)), _VALUE_SHOWN) if isinstance(value, int | float | None) else type(value).__name__
