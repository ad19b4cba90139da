"""Manifests of one row per line: names, CSV and TSV, JSON lines; and JSON arrays."""

import csv
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from .item import Item
from .listing import COLUMNS, PART, Listing

LONGEST_LINE = 2**24
"""Characters of the longest line, and of the longest element of an array."""
_FIRST_READ = 2**16
_QUOTED = re.compile(r'".*"', re.DOTALL)


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
        if name and (item := listing.item(name, number)):
            yield item


def csv_items(lines: Iterable[str], listing: Listing, delimiter: str) -> Iterator[Item]:
    """A row per line, with a header that has one of `COLUMNS`. Quotes mean nothing in TSV: captions there have them."""
    is_tsv = delimiter == "\t"
    if is_tsv:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = [name.strip() for name in next(reader)]
    column = next((name for name in COLUMNS if name in header), "")
    while True:
        try:
            row = dict(zip(header, next(reader), strict=False))
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):  # everything after an open quote
                listing.trouble(f"cannot read the manifest: {error}")
                return
            yield listing.wrong(reader.line_num, f"line {reader.line_num} is not CSV: {error}")
            continue
        name = row.get(column)
        if name and is_tsv and _QUOTED.fullmatch(name):
            name = name[1:-1].replace('""', '"')
        if row and (item := listing.item(name, reader.line_num, *map(row.get, PART))):
            yield item


def delimiter_of(line: str) -> str | None:
    """What separates the columns of a header that names one of `COLUMNS`; None if it is no such header."""
    for delimiter in (",", "\t", ";"):
        try:
            header = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        if {name.strip() for name in header} & {*COLUMNS}:
            return delimiter
    return None


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
        if item := _json_item(value, number, listing):
            yield item


def json_array_items(file: TextIO, listing: Listing) -> Iterator[Item]:
    """The elements of one JSON array: objects or strings."""
    numbers = itertools.count(1)
    try:
        for value in _elements(file):
            if item := _json_item(value, next(numbers), listing):
                yield item
    except (ValueError, RecursionError):
        listing.trouble(f"cannot read the manifest: element {next(numbers)} of the array is not whole JSON")


def names_a_video(value: object) -> bool:
    """Whether a JSON value can be a row of a manifest."""
    return isinstance(value, str) or (isinstance(value, dict) and any(column in value for column in COLUMNS))


def _json_item(value: Any, number: int, listing: Listing) -> Item | None:
    if isinstance(value, str):
        return listing.item(value, number)
    if not names_a_video(value):
        return listing.wrong(number, f"row {number} has none of {', '.join(COLUMNS)}")
    name = next(value[column] for column in COLUMNS if column in value)
    if isinstance(name, dict):  # as Hugging Face writes files in a data set
        name = name.get("path")
    # The rows of our own tables have the part among the parameters.
    parameters = value.get("parameters")
    part = (parameters if isinstance(parameters, dict) else {}) | value
    return listing.item(name, number, *map(part.get, PART))


def _elements(file: TextIO) -> Iterator[Any]:
    """The elements of an array, without holding all of it. Raises ValueError, RecursionError."""
    decoder = json.JSONDecoder()
    text = file.read(_FIRST_READ).lstrip().removeprefix("[")
    more = _FIRST_READ
    while True:
        text = text.lstrip(" \t\r\n,")
        if text.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(text)
        except ValueError:
            value, end = None, len(text)
        if end == len(text):  # a number may go on, everything else is not whole
            if len(text) > LONGEST_LINE or not (read := file.read(more)):
                raise ValueError("the array does not end")
            text, more = text + read, min(more * 2, LONGEST_LINE)
            continue
        yield value
        text, more = text[end:], _FIRST_READ
