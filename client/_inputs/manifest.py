"""Manifests: files that list videos. What kind of list one is, its content says."""

import codecs
import csv
import io
import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress

from .errors import InputError
from .item import Item
from .listing import COLUMNS, Listing
from .names import shown
from .parquet_list import parquet_items
from .skipped import Skipped
from .suffixes import SUFFIXES
from .text_lists import (
    csv_items,
    delimiter_of,
    json_array_items,
    json_line_items,
    lines_of,
    named_items,
    names_a_video,
)

_HEAD_BYTES = 2**20
"""How much of a list is looked at to tell what it is."""
_LINE_SHOWN = 80
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ARRAY = re.compile(r"\s*\[\s*([\"{\]]|\Z)")


class Manifest:
    """A file that lists videos. Raises `InputError` at once if it names none or is not such a list."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.can_be_counted = os.path.isfile(path) or not os.path.exists(path)
        """Whether it can be read twice, and quickly: not a pipe, and no encoded files in it."""
        if self.can_be_counted or os.path.isdir(path):
            skipped = Skipped()
            first = next(self.items(skipped), None)
            if first is None:
                raise InputError(next(iter(skipped.troubles), f"{shown(path)}: the manifest names no video"))
            self.can_be_counted = first.content is None

    def items(self, skipped: Skipped) -> Iterator[Item]:
        """Its rows; what is wrong with the manifest itself goes to `skipped`."""
        try:
            yield from _items(Listing(self._path, skipped))
        except InputError as error:
            skipped.trouble(str(error))
        except (OSError, ValueError, csv.Error) as error:
            why = getattr(error, "strerror", None) or error
            skipped.trouble(f"{shown(self._path)}: cannot read the manifest: {shown(str(why))}")


def line_items(lines: Iterator[str], listing: Listing) -> Iterator[Item]:
    """The items of lines that come one by one: JSON, CSV or names, as the first one says."""
    first = next(lines, None)
    if first is None:
        return
    lines = itertools.chain([first], lines)
    if _is_json_row(first):
        yield from json_line_items(lines, listing)
    elif delimiter := _delimiter(first):
        yield from csv_items(lines, listing, delimiter)
    else:
        yield from named_items(lines, listing)


def _items(listing: Listing) -> Iterator[Item]:
    path = listing.path or ""
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
                _refuse_unless(_array_fits(head), head, listing)
                yield from json_array_items(text, listing)
                return
            first = next((line for line in head.splitlines() if line.strip()), "")
            if ending in (".json", ".jsonl", ".ndjson") or _is_json_row(first):
                _refuse_unless(_json_lines_fit(head), head, listing)
                yield from json_line_items(lines_of(text), listing)
            elif ending in (".csv", ".tsv") and not delimiter_of(first):
                raise InputError(
                    f"{listing.shown}: the manifest has no column 'path' or 'video'; its first line is {_quoted(first)}"
                )
            elif delimiter := _delimiter(first):
                yield from csv_items(lines_of(text), listing, delimiter)
            else:
                _refuse_unless(not first or _names_fit(head, listing), head, listing)
                yield from named_items(lines_of(text), listing)


def _delimiter(line: str) -> str | None:
    """The delimiter of a CSV header; None if the line is none, or the name of a file."""
    name = line.rstrip("\r\n")
    return None if os.path.lexists(name) else delimiter_of(name)


def _is_json_row(line: str) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, str | dict)


def _json_lines_fit(head: str) -> bool:
    for line in head.split("\n"):
        with suppress(ValueError, RecursionError):
            if names_a_video(json.loads(line)):
                return True
    # A row may be longer than the head.
    return "\n" not in head and any(f'"{column}":' in head for column in COLUMNS)


def _array_fits(head: str) -> bool:
    try:
        value, _ = json.JSONDecoder().raw_decode(head.lstrip()[1:].lstrip())
    except RecursionError:
        return False
    except ValueError:
        return head.strip() == "[]" or any(f'"{column}":' in head for column in COLUMNS)
    return names_a_video(value)


def _names_fit(head: str, listing: Listing) -> bool:
    """Whether any line is the name of a file or ends as a video's does."""
    for line in head.splitlines():
        name = line.partition("\t")[0]
        if name.lower().endswith(SUFFIXES) or any(os.path.lexists(listing.locate(n)) for n in (line, name) if n):
            return True
    return False


def _refuse_unless(fits: bool, head: str, listing: Listing) -> None:
    if fits:
        return
    first = next((line for line in head.splitlines() if line.strip()), "")
    utf16 = head.count("\0") * 4 > len(head)
    hint = "; if it is UTF-16, save it with a byte order mark or as UTF-8" if utf16 else ""
    raise InputError(
        f"{listing.shown}: the manifest is no list of videos: no line, column or JSON key names one; "
        f"its first line is {_quoted(first)}{hint}"
    )


def _quoted(line: str) -> str:
    return f"'{shown(line, _LINE_SHOWN)}'"
