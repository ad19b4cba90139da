"""Files that a command writes: which ones that are there already it may replace."""

import argparse
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

from .._tables.table import TableError, read_metadata

_HEAD_BYTES = 65_536
_JOURNAL = ".journal"


def check_output(
    parser: argparse.ArgumentParser, option: str, path: Path, kind: str, is_kind: Callable[[Path], bool]
) -> None:
    """End with a usage error if `path` cannot become this output: before the work, not after it.

    Replaced is only what the command writes itself. So a file of another kind is refused, and one with a journal beside
    it: the table of a run. kind: what the command writes, as a noun; is_kind: whether a file is that.
    """
    if path.with_name(path.name + _JOURNAL).exists():
        parser.error(f"{option} {path} is the table of a run, whose journal lies beside it: name another file")
    try:
        is_refused = path.is_file() and path.stat().st_size > 0 and not is_kind(path)
    except OSError as error:
        parser.error(f"{option} {path}: cannot read what is there: {error.strerror or error}")
    if is_refused:
        parser.error(f"{option} {path} is there, and is no {kind}: name another file, or remove it")


def check_folder(path: Path) -> None:
    """Raise OSError if a file cannot be written because its folder is missing, or because it is a folder itself."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def is_page(path: Path) -> bool:
    """Whether a file is an HTML page. Raises OSError."""
    return _head(path).lstrip().lower().startswith(b"<!doctype html")


def is_list(path: Path) -> bool:
    """Whether a file is a list of videos of the kind that its suffix names. Raises OSError."""
    if path.suffix == ".parquet":
        try:
            read_metadata(path)
        except TableError:
            return False
        return True
    head = _head(path)
    if path.suffix == ".txt":
        return b"\0" not in head
    with path.open("rb") as file:
        first = file.readline()
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and "video" in row


def is_json_with(path: Path, key: str) -> bool:
    """Whether a file is a JSON object with this key. Raises OSError."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and key in content


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)
