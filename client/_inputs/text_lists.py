"""Manifests of one row per line: names, CSV and TSV, JSON lines; JSON arrays, and objects of videos with clips."""

import csv
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from .choices import LINE, PART, Choices
from .item import Item
from .json_stream import elements, members
from .listing import Listing
from .longest import LONGEST_LINE
from .names import shown
from .nested import is_video, rows_of

DELIMITERS = (",", "\t", ";")
_LINE_SHOWN = 80
_QUOTED = re.compile(r'".*"', re.DOTALL)
_KEY = re.compile(r'"([^"\\]{1,100})"\s*:')


def lines_of(file: TextIO) -> Iterator[str]:
    """The lines of a file with their ends; what is beyond `LONGEST_LINE` of a line is left out."""
    while line := file.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            line = file.readline(LONGEST_LINE)


def named_items(lines: Iterable[str], listing: Listing) -> Iterator[Item]:
    """A name per line, which ends at a tab unless a file has a tab in its name: the filter puts notes after it."""
    for number, line in enumerate(lines, 1):
        name = line.rstrip("\r\n")
        before, tab, _ = name.partition("\t")
        if tab and not os.path.lexists(name):
            name = before
        if name and (item := listing.text(name, number)):
            yield item


def csv_items(lines: Iterator[str], listing: Listing, delimiter: str) -> Iterator[Item]:
    """A row per line, with a header that names videos. Quotes mean nothing in TSV: captions there have them."""
    first = next(lines)
    lines = itertools.chain([first], lines)
    is_tsv = delimiter == "\t"
    if is_tsv:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = [name.strip() for name in next(reader)]
    listing = listing.settled("TSV" if is_tsv else "CSV", header, beginning(first))
    unquoted = _naming_columns(listing.choices, header) if is_tsv else set()
    empty = dict.fromkeys(header)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):  # everything after an open quote
                listing.trouble(f"cannot read the manifest: {error}")
                return
            yield listing.wrong(reader.line_num, f"line {reader.line_num} is not CSV: {error}")
            continue
        row: dict[str, Any] = {**empty, **dict(zip(header, cells, strict=False))}
        for column in unquoted:
            cell = row[column]
            if cell and _QUOTED.fullmatch(cell):
                row[column] = cell[1:-1].replace('""', '"')
        if cells and (item := listing.row(row, reader.line_num)):
            yield item


def delimiter_of(line: str, choices: Choices) -> str | None:
    """What separates the columns of a header that names videos; None if it is no such header."""
    for delimiter in DELIMITERS:
        if choices.fit(header_of(line, delimiter)):
            return delimiter
    return None


def header_of(line: str, delimiter: str) -> list[str]:
    """The columns of a header; none if it is not CSV."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def json_line_items(lines: Iterable[str], listing: Listing) -> Iterator[Item]:
    """A JSON object or string per line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield listing.wrong(number, f"line {number} is not JSON")
            continue
        yield from _json_items(value, number, listing)


def json_array_items(file: TextIO, listing: Listing) -> Iterator[Item]:
    """The elements of one JSON array: objects or strings."""
    numbers = itertools.count(1)
    try:
        for value in elements(file):
            yield from _json_items(value, next(numbers), listing)
    except (ValueError, RecursionError):
        listing.trouble(f"cannot read the manifest: element {next(numbers)} of the array is not whole JSON")


def json_object_items(file: TextIO, listing: Listing) -> Iterator[Item]:
    """The scenes of the videos that are the values of one JSON object."""
    number = 0
    try:
        for number, (key, value) in enumerate(members(file), 1):
            if isinstance(value, dict):
                yield from _scenes(key, value, number, listing)
            else:
                yield listing.wrong(number, f"the value of '{shown(key, _LINE_SHOWN)}' is no object with clips")
    except (ValueError, RecursionError):
        listing.trouble(f"cannot read the manifest: video {number + 1} of the object is not whole JSON")


def columns_of(values: Iterable[object], head: str) -> set[str]:
    """The columns of JSON rows; `LINE` if any is a text. Without a row, what looks like keys in the list's head."""
    columns: set[str] = set()
    nothing = True
    for value in values:
        nothing = False
        if isinstance(value, str):
            columns.add(LINE)
        elif is_video(value):
            columns |= {name for row, _ in rows_of(None, value) for name in row}  # type: ignore[arg-type]
        elif isinstance(value, dict):
            columns |= _flat(value).keys()
    return set(_KEY.findall(head)) if nothing else columns


def beginning(head: str) -> str:
    """What a list begins with, for messages."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    return f"its first line is '{shown(first, _LINE_SHOWN)}'"


def _json_items(value: Any, number: int, listing: Listing) -> Iterator[Item]:
    if is_video(value):
        yield from _scenes(None, value, number, listing)
        return
    if not isinstance(value, str | dict):
        yield listing.wrong(number, f"row {number} is neither an object nor a text")
        return
    item = listing.text(value, number) if isinstance(value, str) else listing.row(_flat(value), number)
    if item:
        yield item


def _scenes(key: str | None, video: dict[str, Any], number: int, listing: Listing) -> Iterator[Item]:
    for row, problem in rows_of(key, video):
        if item := listing.row(row, number, problem):
            yield item


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row; those of our own tables have the part among the parameters, and what was kept in an object of its own."""
    if not row.keys() & {"parameters", "kept"}:
        return row
    parameters, kept = row.get("parameters"), row.get("kept")
    part = {name: parameters[name] for name in PART if name in parameters} if isinstance(parameters, dict) else {}
    return {**(kept if isinstance(kept, dict) else {}), **part, **row}


def _naming_columns(choices: Choices, header: list[str]) -> set[str]:
    """The columns that name the video and its part."""
    names = {choices.source(name) for name in (*PART, *(choices.template.fields if choices.template else ()))}
    return {column for column in (*names, choices.name_column(header)) if column in header}
