"""Manifests: files that list videos, as text, CSV or Parquet."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .._optional import missing
from .errors import InputError
from .item import Item

COLUMNS = ("path", "video")
"""Columns that may hold the path of a video; the first one found is used."""
_BATCH_ROWS = 1024


def manifest(path: str) -> Callable[[], Iterator[Item]]:
    """A function that reads the items of a manifest from its start. Raises `InputError` if it has none."""
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(Path(path).suffix.lower(), _lines)

    def read() -> Iterator[Item]:
        try:
            yield from reader(path)
        except (OSError, UnicodeError, csv.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: cannot read the manifest: {why}") from error

    if next(read(), None) is None:
        raise InputError(f"{path}: the manifest names no video")
    return read


def _lines(path: str) -> Iterator[Item]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for line in file:
            if name := line.rstrip("\n"):
                yield Item(name)


def _csv_rows(path: str) -> Iterator[Item]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        column = _column(path, reader.fieldnames or ())
        for row in reader:
            if row[column]:
                yield _item(path, row[column], row.get("start_seconds"), row.get("end_seconds"))


def _parquet_rows(path: str) -> Iterator[Item]:
    if sentence := missing("Parquet", "pyarrow"):
        raise InputError(f"{path}: {sentence}")
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            column = _column(path, file.schema_arrow.names)
            parts = [name for name in ("start_seconds", "end_seconds") if name in file.schema_arrow.names]
            for batch in file.iter_batches(_BATCH_ROWS, columns=[column, *parts]):
                for row in batch.to_pylist():
                    if row[column]:
                        yield _item(path, row[column], row.get("start_seconds"), row.get("end_seconds"))
    except ArrowException as error:
        raise InputError(f"{path}: cannot read the manifest: {error}") from error


def _column(path: str, names: Sequence[str]) -> str:
    for column in COLUMNS:
        if column in names:
            return column
    raise InputError(f"{path}: the manifest has no column {' or '.join(map(repr, COLUMNS))}")


def _item(path: str, name: object, *part: object) -> Item:
    seconds = []
    for value in part:
        try:
            number = None if value in (None, "") else float(str(value))
        except ValueError:
            number = math.nan
        if number is not None and not (math.isfinite(number) and number >= 0):
            raise InputError(f"{path}: {name}: {value!r} is not a time in seconds")
        seconds.append(number)
    return Item(str(name), *seconds)
