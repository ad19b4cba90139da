"""The files that a command is to write, checked before its work: whether they can be written, and what they replace."""

import argparse
import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from .._tables.table import TableError, read_metadata
from .path_arguments import identity

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


def trouble_with_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | str | None]) -> str | None:
    """A sentence if one of the outputs cannot be written, or is also another file of the command; else None.

    The keys are what the command line calls the files; None is a file that was not named. Inputs may be URLs.
    """
    names = {identity(path): name for name, path in inputs.items() if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        if not path.parent.is_dir():
            return f"{name} {path}: there is no folder {path.parent}"
        if path.is_dir():
            return f"{name} {path} is a folder"
        if not os.access(path.parent, os.W_OK):
            return f"{name} {path}: the folder {path.parent} cannot be written to"
        if (other := names.setdefault(path.resolve(), name)) != name:
            return f"{name} and {other} are the same file, {path}"
    return None


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


def is_mp4(path: Path) -> bool:
    """Whether a file is an mp4. Raises OSError."""
    return _head(path)[4:8] == b"ftyp"


def is_picture(path: Path) -> bool:
    """Whether a file is a picture of the kind that its suffix names: .png, .svg or .pdf. Raises OSError."""
    head = _head(path)
    if path.suffix.lower() == ".svg":
        return b"<svg" in head
    return head.startswith(b"%PDF-" if path.suffix.lower() == ".pdf" else b"\x89PNG\r\n")


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
