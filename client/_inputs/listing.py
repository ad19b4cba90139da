"""A manifest that is being read, and how its rows become items."""

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from .._remote.addresses import beside, is_remote
from ..errors import InvalidRequest, UnreadableFile
from .choices import COLUMNS, LINE, PART, Choices, is_kinetics
from .errors import InputError
from .item import Content, Item
from .names import as_text, shown
from .skipped import Skipped
from .times import seconds_of

NO_ROW: Mapping[str, object] = {}
_VALUE_SHOWN = 60


@dataclass(frozen=True)
class Listing:
    """A manifest, or standard input: makes an item of each row."""

    path: str | None
    """The manifest; None for standard input."""
    skipped: Skipped
    """Takes what is left out."""
    choices: Choices = field(default_factory=Choices)
    """Which columns mean what."""
    is_said: bool = False
    """Whether it was said before what the list is read as."""
    holds_files: bool = False
    """Whether it must hold the videos themselves."""
    _folder: str | None = field(init=False)

    def __post_init__(self) -> None:
        path = self.path or ""
        folder = "" if is_remote(path) else os.path.dirname(path)
        elsewhere = bool(folder) and os.path.realpath(folder) != os.path.realpath(".")
        object.__setattr__(self, "_folder", folder if elsewhere else None)

    @property
    def shown(self) -> str:
        """The manifest's name for messages."""
        return "standard input" if self.path is None else shown(self.path)

    def settled(self, kind: str, names: Collection[str], evidence: str, *, by: str = "") -> "Listing":
        """The listing for a list of this kind with these columns, after it was said what the list is read as.

        evidence: what the list begins with; by: what names a video, if no column of `COLUMNS` does.
        Raises `InputError` if the list lacks a column that was chosen.
        """
        choices = self.choices
        if sentence := choices.absent(names):
            raise InputError(f"{self.shown}: {sentence}; {evidence}")
        if not by and is_kinetics(names):
            kind, choices = f"Kinetics {kind}", choices.for_kinetics()
        elif {*PART, "clip"} <= {*names}:
            choices = choices.for_clips(names)
        self._say(kind, choices, names, by)
        return replace(self, choices=choices)

    def locate(self, name: str) -> str:
        """A relative name is looked for in the working directory, then beside the manifest.

        If the manifest is a URL, a name that is not in the working directory is that of a file beside it.
        """
        if is_remote(name) or os.path.isabs(name):
            return name
        if self.path is not None and is_remote(self.path):
            return name if os.path.lexists(name) else beside(self.path, name)
        if self._folder is None or os.path.lexists(name):
            return name
        found = os.path.join(self._folder, name)
        return found if os.path.lexists(found) else name

    def row(self, row: Mapping[str, object], number: int, problem: str | None = None) -> Item | None:
        """The item of row `number`, or one with a problem; None, and counted, if the row names nothing."""
        choices = self.choices
        values = choices.values(row)
        try:
            if choices.template:
                name: object = choices.template.path(values)
            else:
                name = next(values[column] for column in COLUMNS if column in values)
        except (StopIteration, KeyError):
            missing = ", ".join(choices.template.fields if choices.template else COLUMNS)
            return self.wrong(number, f"row {number} has none of {missing}")
        except InvalidRequest as error:
            return Item(self._row_name(number), problem=error, kept=choices.kept(values))
        if isinstance(name, dict):  # as Hugging Face writes files in a data set
            name = name.get("path")
        return self.named(name, values, number, problem)

    def named(self, name: object, values: Mapping[str, object], number: int, problem: str | None = None) -> Item | None:
        """The item of a row whose video has this name; `values` has the part and what is kept."""
        if name is None or name == "" or name == b"":
            self.skipped.row()
            return None
        if not isinstance(name, str):
            return self.wrong(number, f"row {number} names no video but has {_value(name)}")
        if problem:
            error = InvalidRequest(problem, reason="invalid_parameter")
            choices = self.choices
            return Item(self.locate(name), problem=error, kept=choices.kept(values), row=choices.row(values))
        return self._item(self.locate(name), None, values)

    def text(self, line: str, number: int) -> Item | None:
        """The item of a row that is a text without columns."""
        return self.row({LINE: line}, number) if self.choices.template else self.named(line, NO_ROW, number)

    def content(self, data: bytes, name: str | None, number: int, values: Mapping[str, object] = NO_ROW) -> Item:
        """The item of a row that holds the encoded file itself."""
        return self._item(name or self._row_name(number), Content(data, name), values)

    def wrong(self, number: int, why: str) -> Item:
        """The item of a row that cannot be read."""
        return Item(self._row_name(number), problem=UnreadableFile(why))

    def trouble(self, why: str) -> None:
        """Note that the rest of the manifest cannot be read."""
        self.skipped.trouble(f"{self.shown}: {why}")

    def _item(self, name: str, content: Content | None, values: Mapping[str, object]) -> Item:
        kept, row = self.choices.kept(values), self.choices.row(values)
        try:
            start, end = (_seconds(values.get(part)) for part in PART)
            return Item(name, start, end, content, kept=kept, row=row)
        except InvalidRequest as problem:
            return Item(name, content=content, problem=problem, kept=kept, row=row)

    def _row_name(self, number: int) -> str:
        return f"{'-' if self.path is None else self.path}#{number}"

    def _say(self, kind: str, choices: Choices, names: Collection[str], by: str) -> None:
        if self.is_said or (self.path is None and not choices):
            return
        column = choices.name_column(names)
        if choices.template:
            by = choices.template.text
        elif column is not None and not by:
            by = f"by {column!r}"
        parts = [column for name in PART if (column := choices.source(name)) in names]
        part = f", parts by {' and '.join(parts)}" if parts else ""
        self.skipped.read_as.append(f"{self.shown}: read as {kind}, videos {shown(by)}{part}")


def _seconds(value: object) -> float | None:
    if value is None or value == "":
        return None
    number = seconds_of(value)
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
