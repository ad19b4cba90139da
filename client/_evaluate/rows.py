"""Rows of a table that have embeddings of frames and captions, one after the other."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from .._os_errors import reason_of
from .._search.frames import COLUMN, rows_of
from .._tables.row import KEPT_KEY
from .._tables.table import TableError, read_batches
from .errors import EvaluationError
from .texts import PART, Key, Texts, near

_BATCH_ROWS = 256
"""Rows that are read at once: of 256 frames of 1024 float32 values, 268 MB at most."""


@dataclass(frozen=True)
class CaptionedRow:
    """A row of a table; without frames or without some caption, it does not count."""

    frames: NDArray[np.floating] | None
    """(frames, dimensions); None without embeddings."""
    captions: dict[str, str]
    """Those that the row has and that are not empty, by their columns."""
    key: Key
    """Names the row: its video and its part."""


def caption_columns(path: Path, captions: Sequence[str], texts: Texts | None) -> tuple[str, ...]:
    """Which of `captions` a table has, itself or in the list. Raises `TableError`, `EvaluationError`."""
    own = column_names(path)
    names = {*own, *(texts.columns if texts else ())}
    found = tuple(name for name in captions if name in names)
    if not found:
        raise EvaluationError(
            f"{path} has no column {' or '.join(captions)}{near(captions[0], own)}: name those that it has with "
            "--captions, or give a list of captions with --texts"
        )
    return found


def captioned_rows(path: Path, captions: Sequence[str], texts: Texts | None) -> Iterator[CaptionedRow]:
    """Every row of a table, Parquet or JSON lines. Raises `TableError`."""
    read = _parquet_rows(path, captions) if path.suffix.lower() == ".parquet" else _json_rows(path)
    for frames, row in read:
        key = _key(row)
        given = {} if texts is None else texts.of(*key)
        own = {name: row[name] for name in captions if isinstance(row.get(name), str) and row[name].strip()}
        yield CaptionedRow(frames, own | given, key)


def _parquet_rows(path: Path, captions: Sequence[str]) -> Iterator[tuple[NDArray[np.floating] | None, dict[str, Any]]]:
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            wanted = [name for name in ("video", *PART, *captions, COLUMN) if name in file.schema_arrow.names]
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                frames: list[NDArray[np.floating] | None] = [None] * batch.num_rows
                if (found := rows_of(batch)) is not None:
                    for row, start, count in zip(found.rows, found.starts, found.counts, strict=True):
                        frames[row] = found.frames[start : start + count]
                yield from zip(frames, batch.drop_columns([COLUMN]).to_pylist(), strict=True)
    except OSError as error:
        raise TableError(f"cannot read {path}: {reason_of(error)}") from error
    except pa.ArrowException as error:
        raise TableError(f"{path} is not a table of scores: {error}") from error


def _json_rows(path: Path) -> Iterator[tuple[NDArray[np.floating] | None, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):  # or a run is still writing it
                    row = json.loads(line)
                    row = {**row.get(KEPT_KEY, {}), **row}
                    embeddings = row.get(COLUMN)
                    yield None if not embeddings else np.asarray(embeddings, np.float32), row
    except OSError as error:
        raise TableError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise TableError(f"{path} is not a table of scores: {error}") from error


def row_keys(path: Path) -> Iterator[Key]:
    """What names each row of a table. Raises `TableError`."""
    if path.suffix.lower() == ".parquet":
        for batch in read_batches(path, columns=["video", *PART]):
            yield from map(_key, batch.to_pylist())
    else:
        yield from (_key(row) for _, row in _json_rows(path))


def _key(row: dict[str, Any]) -> Key:
    """JSON lines have the part among the parameters."""
    part = row if PART[0] in row or PART[1] in row else row.get("parameters") or {}
    return (row["video"], *(part.get(name) for name in PART))


def column_names(path: Path) -> set[str]:
    """The columns of a table. Raises `TableError`."""
    if path.suffix.lower() == ".parquet":
        return set(parquet.read_schema(path).names)  # `read_metadata` has read it
    return {name for _, row in _json_rows(path) for name in row}
