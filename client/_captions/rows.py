"""The rows of a table that get captions."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyarrow import parquet

from .._evaluate.texts import Texts
from .._phrases.describe import describe_row
from .._tables.row import PART_COLUMNS, PHRASE_COLUMNS
from .._tables.table import Metadata, read_batches

Row = dict[str, Any]
_COLUMNS = (
    *("video", *PART_COLUMNS, "error", "duration_seconds"),
    *("camera_movement_score", "object_movement_score", "dynamics_score", "clips"),
)


def scored_rows(path: Path, metadata: Metadata) -> Iterator[Row]:
    """The rows of a table that were scored, without embeddings. Raises `TableError`."""
    for batch in read_batches(path, metadata, columns=_COLUMNS):
        yield from (row for row in batch.to_pylist() if row["error"] is None)


def own_captions(path: Path, column: str) -> Texts | None:
    """The captions in a column of the table itself; None if it has no such column."""
    if path.suffix.lower() != ".parquet" or column not in parquet.read_schema(path).names:
        return None
    texts: dict[Any, dict[str, str]] = {}
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["video", "start_seconds", "end_seconds", column]):
            for row in batch.to_pylist():
                if isinstance(row[column], str) and row[column].strip():
                    texts[row["video"], row["start_seconds"], row["end_seconds"]] = {column: row[column]}
    return Texts((column,), True, texts)


def key_of(row: Mapping[str, Any]) -> str:
    """Names a row: its video and its part."""
    return json.dumps([row[name] for name in ("video", *PART_COLUMNS)])


def motion_of(row: Mapping[str, Any]) -> str:
    """How the video moves, in words; empty if there is nothing to say."""
    return row.get(PHRASE_COLUMNS[0]) or describe_row(row).sentence
