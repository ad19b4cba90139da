"""One JSON array or object, read piece by piece: it may be larger than memory."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from .longest import LONGEST_LINE

_FIRST_READ = 2**16
_COLON = re.compile(r"\s*:\s*")
_DECODER = json.JSONDecoder()


def elements(file: TextIO) -> Iterator[Any]:
    """The elements of an array, without holding all of it. Raises ValueError, RecursionError."""
    return _pieces(file, "[", "]", _DECODER.raw_decode)


def members(file: TextIO) -> Iterator[tuple[str, Any]]:
    """The keys and values of an object, without holding all of it. Raises ValueError, RecursionError."""
    return _pieces(file, "{", "}", member_of)


def member_of(text: str) -> tuple[tuple[str, Any], int]:
    """The key and the value at the start of a text, and where they end. Raises ValueError, RecursionError."""
    key, end = _DECODER.raw_decode(text)
    colon = _COLON.match(text, end)
    if not isinstance(key, str) or colon is None:
        raise ValueError("no key")
    value, end = _DECODER.raw_decode(text, colon.end())
    return (key, value), end


def _pieces(file: TextIO, opening: str, closing: str, decode: Callable[[str], tuple[Any, int]]) -> Iterator[Any]:
    text = file.read(_FIRST_READ).lstrip().removeprefix(opening)
    more = _FIRST_READ
    while True:
        text = text.lstrip(" \t\r\n,")
        if text.startswith(closing):
            return
        try:
            value, end = decode(text)
        except ValueError:
            value, end = None, len(text)
        if end == len(text):  # a number may go on, everything else is not whole
            if len(text) > LONGEST_LINE or not (read := file.read(more)):
                raise ValueError(f"there is no {closing} at its end")
            text, more = text + read, min(more * 2, LONGEST_LINE)
            continue
        yield value
        text, more = text[end:], _FIRST_READ
