"""The rows of a table that get captions."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from .._evaluate.texts import Texts
from .._phrases.describe import describe_row
from .._tables.row import PART_COLUMNS, PHRASE_COLUMNS, SKIPPED_BY
from .._tables.table import Metadata, read_batches

Row = dict[str, Any]
_COLUMNS = (
    *("video", *PART_COLUMNS, "error", SKIPPED_BY, "duration_seconds"),
    *("camera_movement_score", "object_movement_score", "dynamics_score", "clips"),
)


def scored_rows(path: Path, metadata: Metadata) -> Iterator[Row]:
    """The rows of a table that were scored, without embeddings. Raises `TableError`."""
    for batch in read_batches(path, metadata, columns=_COLUMNS):
        yield from (row for row in batch.to_pylist() if row["error"] is None and row[SKIPPED_BY] is None)


def columns_of(path: Path, metadata: Metadata) -> list[str]:
    """The columns of a table that may have captions."""
    return list(parquet.read_schema(path).names) if path.suffix.lower() == ".parquet" else list(metadata.kept)


def own_captions(path: Path, metadata: Metadata, column: str) -> Texts | None:
    """The captions in a column of the table itself; None if it has no such column. Raises `TableError`."""
    if column not in columns_of(path, metadata):
        return None
    texts: dict[Any, dict[str, str]] = {}
    for batch in _batches(path, metadata, ["video", "start_seconds", "end_seconds", column]):
        for row in batch.to_pylist():
            if isinstance(row[column], str) and row[column].strip():
                texts[row["video"], row["start_seconds"], row["end_seconds"]] = {column: row[column]}
    return Texts((column,), True, texts)


def _batches(path: Path, metadata: Metadata, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Parquet may have columns that `read_batches` does not know."""
    if path.suffix.lower() != ".parquet":
        yield from read_batches(path, metadata, columns=columns)
        return
    with parquet.ParquetFile(path) as file:
        yield from file.iter_batches(columns=columns)


def key_of(row: Mapping[str, Any]) -> str:
    """Names a row: its video and its part."""
    return json.dumps([row[name] for name in ("video", *PART_COLUMNS)])


def name_of(row: Mapping[str, Any]) -> str:
    """What messages call a row: its video, and its part if it is one."""
    start, end = (row.get(name) for name in PART_COLUMNS[:2])
    if start is None and end is None:
        return str(row["video"])
    times = f"from {start:g} s" if end is None else f"{start or 0:g} to {end:g} s"
    return f"{row['video']}, {times}"


def motion_of(row: Mapping[str, Any]) -> str:
    """How the video moves, in words; empty if there is nothing to say."""
    return row.get(PHRASE_COLUMNS[0]) or describe_row(row).sentence
