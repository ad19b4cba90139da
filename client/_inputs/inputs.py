"""Which videos: files, folders, patterns and manifests, one after the other and never all at once."""

import csv
import glob
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

STANDARD_INPUT = "-"
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""What a file in a folder ends in to be taken for a video."""
COLUMNS = ("path", "video")
"""The column of a manifest that names the file, the first that there is."""
_READ_BYTES = 65536


class InputError(Exception):
    """What the command line names is not there or cannot be read; the message says what."""


@dataclass(frozen=True)
class Item:
    """A video, or a part of one, to be scored."""

    path: str
    """The file, as it was named."""
    start_seconds: float | None = None
    """Where the part starts, if a manifest says."""
    end_seconds: float | None = None
    """Where it ends, if a manifest says."""

    @property
    def video(self) -> str:
        """The name as text; bytes that are none are written as escapes."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    @property
    def part(self) -> dict[str, float]:
        """The parameters that ask for it."""
        part = {"start_seconds": self.start_seconds, "end_seconds": self.end_seconds}
        return {name: seconds for name, seconds in part.items() if seconds is not None}

    @property
    def key(self) -> bytes:
        """What tells it from all others."""
        return b"\0".join([os.fsencode(self.path), *(repr(item).encode() for item in self.part.items())])


class Inputs:
    """What the command line names, looked at before it is gone through. Raises `InputError`."""

    def __init__(self, arguments: Sequence[str], manifests: Sequence[str]) -> None:
        self._sources: list[Callable[[], Iterator[Item]]] = []
        self.can_be_counted = STANDARD_INPUT not in (*arguments, *manifests)
        """Whether they can be gone through twice."""
        for argument in arguments:
            self._sources.append(_lines_of_standard_input if argument == STANDARD_INPUT else _named(argument))
        for manifest in manifests:
            self._sources.append(_lines_of_standard_input if manifest == STANDARD_INPUT else _manifest(manifest))

    def __iter__(self) -> Iterator[Item]:
        for source in self._sources:
            yield from source()


def _named(argument: str) -> Callable[[], Iterator[Item]]:
    """A file, a folder or a pattern; a file that is not there is for the score to fail on."""
    if os.path.isdir(argument):
        found, nothing = (lambda: _videos_below(argument)), "no videos are in this folder"
    elif glob.has_magic(argument) and not os.path.exists(argument):
        found, nothing = (lambda: _matching(argument)), "nothing matches this pattern"
    else:
        return lambda: iter([Item(argument)])
    if next(found(), None) is None:
        raise InputError(f"{argument}: {nothing} ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return found


def _matching(pattern: str) -> Iterator[Item]:
    for path in glob.iglob(pattern, recursive=True):
        if not os.path.isdir(path):
            yield Item(path)
        elif not pattern.endswith("**"):  # that names each file below as well
            yield from _videos_below(path)


def _videos_below(folder: str) -> Iterator[Item]:
    """In the order of the directory: sorted, a folder of a million would have to be held."""
    folders = [folder]
    while folders:
        current = folders.pop()
        try:
            entries = os.scandir(current)
        except OSError as error:
            raise InputError(f"{current}: cannot read the folder: {error.strerror}") from error
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES):
                    yield Item(entry.path)


def _manifest(path: str) -> Callable[[], Iterator[Item]]:
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(Path(path).suffix.lower(), _lines)

    def read() -> Iterator[Item]:
        try:
            yield from reader(path)
        except (OSError, UnicodeError, csv.Error) as error:
            raise InputError(
                f"{path}: cannot read the manifest: {getattr(error, 'strerror', None) or error}"
            ) from error

    if next(read(), None) is None:
        raise InputError(f"{path}: the manifest names no video")
    return read


def _lines(path: str) -> Iterator[Item]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for line in file:
            if name := line.rstrip("\n"):
                yield Item(name)


def _lines_of_standard_input() -> Iterator[Item]:
    """As they come; not from `sys.stdin`, whose lock a thread that waits for a line would hold as the program ends."""
    rest = b""
    while read := os.read(0, _READ_BYTES):
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            if name := line.rstrip(b"\r"):
                yield Item(os.fsdecode(name))
    if rest:
        yield Item(os.fsdecode(rest))


def _csv_rows(path: str) -> Iterator[Item]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        column = _column(path, reader.fieldnames or ())
        for row in reader:
            if row[column]:
                yield _row(path, row[column], row.get("start_seconds"), row.get("end_seconds"))


def _parquet_rows(path: str) -> Iterator[Item]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError(f"{path}: {NO_PYARROW}") from error
    try:
        with parquet.ParquetFile(path) as file:
            column = _column(path, file.schema_arrow.names)
            parts = [name for name in ("start_seconds", "end_seconds") if name in file.schema_arrow.names]
            for batch in file.iter_batches(1024, columns=[column, *parts]):
                for row in batch.to_pylist():
                    if row[column]:
                        yield _row(path, row[column], row.get("start_seconds"), row.get("end_seconds"))
    except ArrowException as error:
        raise InputError(f"{path}: cannot read the manifest: {error}") from error


NO_PYARROW = "Parquet needs pyarrow: pip install pyarrow"


def _column(path: str, names: Sequence[str]) -> str:
    for column in COLUMNS:
        if column in names:
            return column
    raise InputError(f"{path}: the manifest has no column {' or '.join(map(repr, COLUMNS))}")


def _row(path: str, name: object, *part: object) -> Item:
    seconds = []
    for value in part:
        try:
            number = None if value in (None, "") else float(str(value))
        except ValueError:
            number = math.nan
        if number is not None and not (math.isfinite(number) and number >= 0):
            raise InputError(f"{path}: {name}: {value!r} is no time in seconds")
        seconds.append(number)
    return Item(str(name), *seconds)
