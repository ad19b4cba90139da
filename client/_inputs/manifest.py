"""Manifests: files that list videos. What kind of list one is, its content says."""

import atexit
import codecs
import csv
import io
import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress

from .._os_errors import reason_of
from .._remote.addresses import is_remote
from .._remote.reading import local_copy
from ..errors import ClientError
from .choices import LINE, Choices
from .errors import InputError
from .item import Item
from .listing import Listing
from .names import shown
from .nested import first_video, is_video, rows_of
from .parquet_list import parquet_items
from .skipped import Skipped
from .suffixes import SUFFIXES
from .text_lists import (
    DELIMITERS,
    beginning,
    columns_of,
    csv_items,
    delimiter_of,
    header_of,
    json_array_items,
    json_line_items,
    json_object_items,
    lines_of,
    named_items,
)

_HEAD_BYTES = 2**20
"""How much of a list is looked at to tell what it is."""
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ARRAY = re.compile(r"\s*\[\s*([\"{\]]|\Z)")
_NAMES = "names, one a line"
_EACH_LINE = "by each line"
_EACH_TEXT = "by each text"


class Manifest:
    """A file that lists videos. Raises `InputError` at once if it names none or is not such a list.

    A list behind a URL is copied to this machine's disk until the program ends.
    """

    def __init__(self, path: str, choices: Choices = Choices()) -> None:  # noqa: B008 - it cannot change
        self._path = path
        self._file = _copied(path) if is_remote(path) else path
        self._choices = choices
        self.read_as: list[str] = []
        """What the list was read as; nothing for a pipe, which is read once."""
        self.can_be_counted = os.path.isfile(self._file) or not os.path.exists(self._file)
        """Whether it can be read twice, and quickly: not a pipe, and no encoded files in it."""
        if self.can_be_counted or os.path.isdir(path):
            skipped = Skipped()
            first = next(self.items(skipped), None)
            if first is None:
                raise InputError(next(iter(skipped.troubles), f"{shown(path)}: the manifest names no video"))
            self.can_be_counted = first.content is None
            self.read_as = skipped.read_as

    def items(self, skipped: Skipped) -> Iterator[Item]:
        """Its rows; what is wrong with the manifest itself goes to `skipped`."""
        try:
            yield from _items(self._file, Listing(self._path, skipped, self._choices, is_said=bool(self.read_as)))
        except InputError as error:
            skipped.trouble(str(error))
        except (OSError, ValueError, csv.Error) as error:
            why = reason_of(error) if isinstance(error, OSError) else error
            skipped.trouble(f"{shown(self._path)}: cannot read the manifest: {shown(str(why))}")


def line_items(lines: Iterator[str], listing: Listing) -> Iterator[Item]:
    """The items of lines that come one by one: JSON, CSV or names, as the first one says. Raises `InputError`."""
    first = next(lines, None)
    if first is None:
        return
    lines = itertools.chain([first], lines)
    if _is_json_row(first):
        value = json.loads(first)
        # A later row may have what is kept.
        columns = columns_of([value], first) | {listing.choices.source(name) for name in listing.choices.keep}
        yield from json_line_items(lines, _settled_json("JSON lines", columns, is_video(value), first, listing))
    elif delimiter := _delimiter(first, listing.choices):
        yield from csv_items(lines, listing, delimiter)
    else:
        yield from named_items(lines, listing.settled(_NAMES, {LINE}, beginning(first), by=_EACH_LINE))


def _copied(url: str) -> str:
    """A copy of a list on this machine's disk."""
    try:
        copy, remove = local_copy(url)
    except ClientError as error:
        raise InputError(f"{shown(url)}: cannot read the manifest: {error}") from error
    atexit.register(remove)
    return str(copy)


def _items(path: str, listing: Listing) -> Iterator[Item]:
    """path: the file, which `listing` may call otherwise."""
    choices = listing.choices
    ending = os.path.splitext(path)[1].lower()
    with io.BufferedReader(io.FileIO(path), _HEAD_BYTES) as file:
        start = file.peek(_HEAD_BYTES)
        if not start:
            return
        if start.startswith(b"PAR1") or ending == ".parquet":
            yield from parquet_items(path, listing)
            return
        encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8-sig")
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        head = codecs.getincrementaldecoder(encoding)(errors).decode(start)
        with io.TextIOWrapper(file, encoding, errors, newline="") as text:
            if _ARRAY.match(head) or (ending == ".json" and head.lstrip().startswith("[")):
                values = _elements_of(head)
                columns = columns_of(values, head)
                if head.strip() != "[]":
                    _refuse_unless(_json_fits(columns, choices), head, listing)
                    listing = _settled_json("a JSON array", columns, any(map(is_video, values)), head, listing)
                yield from json_array_items(text, listing)
                return
            if found := first_video(head):
                key, video = found
                columns = {name for row, _ in rows_of(key, video) for name in row} or _HD_VG_COLUMNS
                yield from json_object_items(text, listing.settled("HD-VG JSON", columns, beginning(head)))
                return
            first = next((line for line in head.splitlines() if line.strip()), "")
            if ending in (".json", ".jsonl", ".ndjson") or _is_json_row(first):
                values = _rows_of_lines(head)
                columns = columns_of(values, "" if "\n" in head else head)
                _refuse_unless(_json_fits(columns, choices), head, listing)
                settled = _settled_json("JSON lines", columns, any(map(is_video, values)), head, listing)
                yield from json_line_items(lines_of(text), settled)
            elif ending in (".csv", ".tsv") and not delimiter_of(first, choices):
                raise InputError(_no_column(first, listing))
            elif delimiter := _delimiter(first, choices):
                yield from csv_items(lines_of(text), listing, delimiter)
            else:
                settled = listing.settled(_NAMES, {LINE}, beginning(head), by=_EACH_LINE) if first else listing
                _refuse_unless(not first or bool(choices.template) or _names_fit(head, listing), head, listing)
                yield from named_items(lines_of(text), settled)


_HD_VG_COLUMNS = {"video_id", "url", "clip", "clip_id", "caption", "fps", "scene", "start_seconds", "end_seconds"}
"""Columns of a list whose first video has no clip, or is longer than what is looked at."""


def _delimiter(line: str, choices: Choices) -> str | None:
    """The delimiter of a CSV header; None if the line is none, or the name of a file."""
    name = line.rstrip("\r\n")
    return None if os.path.lexists(name) else delimiter_of(name, choices)


def _no_column(first: str, listing: Listing) -> str:
    """Why a table of text names no video."""
    header = max((header_of(first, delimiter) for delimiter in DELIMITERS), key=len)
    sentence = listing.choices.absent(header) or "the manifest has no column 'path' or 'video'"
    return f"{listing.shown}: {sentence}; {beginning(first)}"


def _is_json_row(line: str) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, str | dict)


def _rows_of_lines(head: str) -> list[object]:
    rows = []
    for line in head.split("\n"):
        with suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return rows


def _elements_of(head: str) -> list[object]:
    """The whole elements of the array that a text begins with."""
    decoder = json.JSONDecoder()
    values = []
    position = head.index("[") + 1
    with suppress(ValueError, RecursionError):
        while True:
            while head[position : position + 1].isspace() or head[position : position + 1] == ",":
                position += 1
            value, position = decoder.raw_decode(head, position)
            values.append(value)
    return values


def _json_fits(columns: set[str], choices: Choices) -> bool:
    """Whether JSON rows with these columns name videos, or lack one that was chosen, which is said later."""
    return choices.fit(columns) or LINE in columns or "clip" in columns or bool(choices and columns)


def _settled_json(kind: str, columns: set[str], has_clips: bool, head: str, listing: Listing) -> Listing:
    if has_clips:
        kind = f"HD-VILA {kind}"
    texts_alone = not listing.choices and LINE in columns and not listing.choices.fit(columns)
    settled = listing.settled(kind, columns, beginning(head), by=_EACH_TEXT if texts_alone else "")
    if not (settled.choices.fit(columns) or LINE in columns):
        _refuse_unless(False, head, listing)
    return settled


def _names_fit(head: str, listing: Listing) -> bool:
    """Whether any line is the name of a file or ends as a video's does."""
    for line in head.splitlines():
        name = line.partition("\t")[0]
        if name.lower().endswith(SUFFIXES) or is_remote(name):
            return True
        if any(os.path.lexists(listing.locate(n)) for n in (line, name) if n):
            return True
    return False


def _refuse_unless(fits: bool, head: str, listing: Listing) -> None:
    if fits:
        return
    utf16 = head.count("\0") * 4 > len(head)
    hint = "; if it is UTF-16, save it with a byte order mark or as UTF-8" if utf16 else ""
    raise InputError(
        f"{listing.shown}: the manifest is no list of videos: no line, column or JSON key names one; "
        f"{beginning(head)}{hint}"
    )
