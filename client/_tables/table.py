"""Tables of scores, one row per video: read from Parquet, JSON lines or CSV, written as Parquet.

Needs pyarrow. The columns are those of `SCHEMA` for every file format; `Metadata`, which holds for the whole table, is
in the schema's metadata. A CSV file has no weights and no parameters.
"""

import contextlib
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from .._os_errors import reason_of
from .replace import replacing
from .row import (
    ADDED_COLUMNS,
    DUPLICATE_COLUMN,
    FIRST_PASS_COLUMNS,
    FLAT_COLUMNS,
    KEPT_KEY,
    METRIC_COLUMNS,
    METRICS,
    PARAMETERS_OF_A_ROW,
    PART_COLUMNS,
    SECONDS_COLUMN,
    SKIPPED_BY,
    TEXT_COLUMNS,
    Row,
    flat,
    is_signal_column,
    metrics_from,
)
from .signal_columns import array_of, fields_of_row

METADATA_KEY = b"video_motion"
FORMATS = (".parquet", ".jsonl", ".csv")
"""Suffixes of tables."""
ROW_GROUP_ROWS = 4096
_REPEATING = [
    "error",
    "error_kind",
    "reason",
    "skipped_by",
    "frames_per_second",
    "width",
    "height",
    "decoder",
    "clips.list.element.labels.list.element",
]
"""Columns that a dictionary makes smaller; for a column of scores, it would hold all of them in memory."""
_BATCH_ROWS = 128  # as Python objects, which take a hundred times the memory of Arrow's
_BATCH_BYTES = 4 << 20
"""A batch of rows to write has no more of embeddings, but for one row."""
_ROW_GROUP_BYTES = 16 << 20
"""The same for a row group: writers and readers hold one in memory."""
_READ_BYTES = 16 << 20
"""A batch of rows that is read has about as much at most."""
_READ_ROWS = 65_536
_READ_AHEAD = 1 << 20
"""How much of a column is read at once; pyarrow reads those of a whole row group otherwise."""

SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("from_first_frame", pa.int8()),
        pa.field("error", pa.string()),
        pa.field("error_kind", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("skipped_by", pa.string()),
        pa.field("camera_movement_score", pa.float32()),
        pa.field("object_movement_score", pa.float32()),
        pa.field("dynamics_score", pa.float32()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("header_duration_seconds", pa.float64()),
        pa.field("frames", pa.int64()),
        pa.field("frames_per_second", pa.float64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("decoded_share", pa.float32()),
        pa.field("decoder", pa.string()),
        pa.field(
            "clips",
            pa.list_(
                pa.struct(
                    [
                        pa.field("start_seconds", pa.float32()),
                        pa.field("end_seconds", pa.float32()),
                        pa.field("labels", pa.list_(pa.string())),
                        pa.field("probabilities", pa.list_(pa.float32())),
                    ]
                )
            ),
        ),
    ]
)
"""The columns. For a scored video `error`, `error_kind` and `reason` are null; for a failed one, all that follow are.
`skipped_by` says why a first pass skipped a video, which then has no error and no scores.

`start_seconds` and `end_seconds` are the part of the video that was scored, null for the whole video; they count from
the first frame if `from_first_frame` is 1, and are timestamps if it is null. The probabilities of a clip are in the
order of the metadata's labels; its labels are those with at least 0.5, most probable first. `header_duration_seconds`
is null where the header agrees with the frames, `decoded_share` unless a damaged video was allowed. `decoder` is what
decoded the video, `nvdec` or `ffmpeg`. `ADDED_COLUMNS` are null in tables from before they existed.
"""


class TableError(ValueError):
    """A file is not a table of scores or cannot be read; the message says why."""


@dataclass(frozen=True)
class Metadata:
    """What holds for every row of a table."""

    weights: dict[str, str] = field(default_factory=dict)
    """`motion`, `camera` and `precision`, as the server named them; empty if the file does not have them."""
    labels: tuple[str, ...] = ()
    """The camera labels, in the order of each clip's probabilities; empty if no row has a clip."""
    parameters: dict[str, float] = field(default_factory=dict)
    """The request parameters except the part of the video, which is in the columns."""
    signals: tuple[str, ...] | None = None
    """The signals that were asked for; None for motion and camera, without any being named."""
    kept: tuple[str, ...] = ()
    """The columns that were kept of manifests; they are text, and the last ones of the table."""

    @property
    def has_motion(self) -> bool:
        """Whether the rows have motion scores."""
        return self.signals is None or "motion" in self.signals

    @property
    def has_camera(self) -> bool:
        """Whether the rows have camera labels."""
        return self.signals is None or "camera" in self.signals

    def schema(self) -> pa.Schema:
        """`SCHEMA` with this metadata."""
        optional = {"signals": None, "kept": ()}
        content = {
            name: value for name, value in asdict(self).items() if name not in optional or value != optional[name]
        }
        return SCHEMA.with_metadata({METADATA_KEY: json.dumps(content)})

    @classmethod
    def of(cls, table: pa.Table | pa.Schema) -> "Metadata":
        """The metadata in the schema of a table."""
        schema = table.schema if isinstance(table, pa.Table) else table
        content = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
        signals = content.get("signals")
        return cls(
            content.get("weights", {}),
            tuple(content.get("labels", ())),
            content.get("parameters", {}),
            None if signals is None else tuple(signals),
            tuple(content.get("kept", ())),
        )


def read_table(path: str | PathLike[str]) -> pa.Table:
    """A whole table, in memory. Raises `TableError`.

    Its columns are those of `SCHEMA` for every format; then those of signals beside motion and camera, if it has any;
    then those that were kept of manifests.
    """
    metadata = read_metadata(path)
    return pa.Table.from_batches(read_batches(path, metadata), table_schema(path, metadata))


def table_schema(path: str | PathLike[str], metadata: Metadata, *, signals: bool = True) -> pa.Schema:
    """The columns of the batches that `read_batches` gives. Raises `TableError`."""
    return _schema(metadata, _further_columns(path, metadata) if signals else [])


def read_batches(
    path: str | PathLike[str],
    metadata: Metadata | None = None,
    *,
    signals: bool = True,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """A table in batches, for tables larger than memory; same columns as `read_table`. Raises `TableError`.

    signals: False leaves out the columns of signals beside motion and camera, of which embeddings are large, and
    those that were kept of manifests.
    columns: the names of the only ones to read; KeyError if the table has no such column.
    """
    path = Path(path)
    metadata = metadata or read_metadata(path)
    fields = _further_columns(path, metadata) if signals else []
    schema = _schema(metadata, fields)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
    if _format(path) == ".parquet":
        yield from parquet_batches(path, schema)
        return
    rows = _read_rows(path)
    while some := list(islice(rows, _BATCH_ROWS)):
        with _reading(path):
            batch = as_batch(some, metadata, fields)
        yield batch if columns is None else batch.select(list(columns))


def parquet_batches(path: Path, schema: pa.Schema, row_groups: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
    """The columns of `schema` of a Parquet table, or of some row groups; null if it lacks one. Raises `TableError`."""
    with _reading(path), parquet.ParquetFile(path, buffer_size=_READ_AHEAD, pre_buffer=False) as file:
        present = [name for name in schema.names if name in file.schema_arrow.names]
        rows = _rows_at_once(file.metadata, present)
        for batch in file.iter_batches(rows, row_groups=row_groups, columns=present):
            yield from _completed(batch, schema)


def read_metadata(path: str | PathLike[str]) -> Metadata:
    """The metadata of a table; for JSON lines and CSV, what the first scored row has. Raises `TableError`."""
    path = Path(path)
    if _format(path) == ".parquet":
        with _reading(path):
            schema = parquet.read_schema(path)
        if missing := set(SCHEMA.names) - set(schema.names) - set(ADDED_COLUMNS):
            raise TableError(f"{path} is not a table of scores: it has no column {sorted(missing)[0]!r}")
        return Metadata.of(schema)
    kept = tuple(next(_read_rows(path), {}).get(KEPT_KEY, {}))
    row = _first_scored(path)
    if row is None:
        return Metadata(kept=kept)
    parameters = {k: v for k, v in row.get("parameters", {}).items() if k not in PARAMETERS_OF_A_ROW}
    labels = tuple(row["camera"][0]["probabilities"]) if row.get("camera") else ()
    return Metadata(row.get("weights", {}), labels, parameters, _signals_of(row), kept)


def signal_columns(path: str | PathLike[str]) -> list[pa.Field]:
    """The columns of signals beside motion and camera that a table has. Raises `TableError`."""
    path = Path(path)
    if _format(path) == ".parquet":
        with _reading(path):
            return [field for field in parquet.read_schema(path) if is_signal_column(field.name)]
    row = _first_scored(path)
    with _reading(path):
        return [] if row is None else fields_of_row(row)


def write_parquet(path: Path, rows: Iterable[Row], metadata: Metadata, fields: Sequence[pa.Field] = ()) -> None:
    """Write a table whole or not at all; until it is whole, the file before it stays. Raises OSError.

    fields: the columns of signals beside motion and camera.
    """
    fields = [*fields, *_kept_columns(metadata)]
    schema = _schema(metadata, fields)
    with (
        replacing(path) as partial,
        parquet.ParquetWriter(partial, schema, compression="zstd", use_dictionary=_REPEATING) as writer,
    ):
        waiting: list[pa.RecordBatch] = []
        waiting_rows = waiting_bytes = 0
        for some, size in _in_batches(rows):
            waiting.append(as_batch(some, metadata, fields))
            waiting_rows += len(some)
            waiting_bytes += size
            if waiting_rows >= ROW_GROUP_ROWS or waiting_bytes >= _ROW_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
                waiting_rows = waiting_bytes = 0
                # Or the heap grows with every group: what is freed lies between what is not.
                pa.default_memory_pool().release_unused()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))


def _in_batches(rows: Iterable[Row]) -> Iterator[tuple[list[Row], int]]:
    """Rows, and the bytes of their arrays: at most `_BATCH_ROWS`, and no more once there are `_BATCH_BYTES`."""
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
        if len(some) == _BATCH_ROWS or size >= _BATCH_BYTES:
            yield some, size
            some, size = [], 0
    if some:
        yield some, size


def _further_columns(path: str | PathLike[str], metadata: Metadata) -> list[pa.Field]:
    return [*signal_columns(path), *_kept_columns(metadata)]


def _kept_columns(metadata: Metadata) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in metadata.kept]


def _schema(metadata: Metadata, fields: Sequence[pa.Field]) -> pa.Schema:
    base = metadata.schema()
    return pa.schema([*base, *fields], base.metadata)


def _rows_at_once(metadata: Any, columns: Sequence[str]) -> int:
    """How many rows of these columns to read, so that they have `_READ_BYTES` where a row group's rows are largest."""
    largest = 0.0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(index) for index in range(group.num_columns))
        size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.partition(".")[0] in columns)
        largest = max(largest, size / max(group.num_rows, 1))
    return int(min(_READ_ROWS, max(1, _READ_BYTES / max(largest, 1))))


def _completed(batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batch with all columns of the schema, null where it lacks one."""
    table = pa.Table.from_batches([batch])
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        for field in schema
    ]
    yield from pa.table(columns, schema=schema).to_batches()


def as_batch(rows: list[Row], metadata: Metadata, fields: Sequence[pa.Field] = ()) -> pa.RecordBatch:
    """The rows as a batch with the columns of a table with this metadata and these columns of signals.

    Raises ValueError, KeyError or TypeError if a row does not fit.
    """
    content = [flat(row) | {"clips": _clips(row, metadata.labels)} for row in rows]
    base = pa.RecordBatch.from_pylist(content, schema=metadata.schema())
    if not fields:
        return base
    columns = [*base.columns, *(_array(rows, field, metadata) for field in fields)]
    return pa.RecordBatch.from_arrays(columns, schema=_schema(metadata, fields))


def _array(rows: list[Row], field: pa.Field, metadata: Metadata) -> pa.Array:
    if field.name in metadata.kept:
        return pa.array([row.get(KEPT_KEY, {}).get(field.name) for row in rows], field.type)
    return array_of(rows, field)


def _clips(row: Row, labels: tuple[str, ...]) -> list[dict[str, Any]] | None:
    if "camera" not in row:
        return None
    clips = []
    for clip in row["camera"]:
        probabilities = clip["probabilities"]
        if len(probabilities) != len(labels):
            raise ValueError(f"{row['video']!r} has {len(probabilities)} labels, others have {len(labels)}")
        clips.append(clip | {"probabilities": [probabilities[label] for label in labels]})
    return clips


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise TableError(f"{path} is not a table of scores: its name must end in {', '.join(FORMATS)}")
    return suffix


def _first_scored(path: Path) -> Row | None:
    """The first scored row of a table of text, with clips if any has."""
    first = None
    for row in _read_rows(path):
        if "error" in row or SKIPPED_BY in row:
            continue
        first = first or row
        if row.get("camera") or "camera" not in row:
            return row
    return first


def _signals_of(row: Row) -> tuple[str, ...] | None:
    """The signals that a scored row of a table of text has; None for motion and camera."""
    present = {
        "motion": "motion" in row or "camera_movement_score" in row,
        "camera": "camera" in row,
        "segments": "segment_embeddings" in row,
        "frames": SECONDS_COLUMN in row,
        "actions": "actions" in row,
        "metrics": METRICS in row,
    }
    if (
        present["motion"]
        and present["camera"]
        and not any(map(is_signal_column, row.keys() - {*TEXT_COLUMNS, *FIRST_PASS_COLUMNS}))
    ):
        return None
    return tuple(name for name, has in present.items() if has)


def _read_rows(path: Path) -> Iterator[Row]:
    with _reading(path), path.open(encoding="utf-8", newline="") as file:
        yield from _read_jsonl(file) if _format(path) == ".jsonl" else _read_csv(file)


def _read_jsonl(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.endswith("\n"):
            return  # a run is still writing it
        row = json.loads(line)
        if not isinstance(row, dict) or "video" not in row or not row.keys() & {"motion", "info", "error", SKIPPED_BY}:
            raise ValueError(f"line {number} is not the score of a video")
        yield row


def _read_csv(file: TextIO) -> Iterator[Row]:
    reader = csv.DictReader(file, strict=True)
    if missing := {*FLAT_COLUMNS, "clips"} - set(reader.fieldnames or ()) - set(ADDED_COLUMNS):
        raise ValueError(f"it has no column {sorted(missing)[0]!r}")
    whole = ("frames", "width", "height", "from_first_frame")
    text = ("video", "error", "error_kind", "reason", SKIPPED_BY, "decoder")
    own = {*FLAT_COLUMNS, "clips"}
    kept = [name for name in reader.fieldnames or () if name and name not in own and not is_signal_column(name)]
    for cells in reader:
        row: Row = {
            name: value if name in text else (int if name in whole else float)(value)
            for name in FLAT_COLUMNS
            if (value := cells.get(name))
        }
        part = {name: row.pop(name) for name in PART_COLUMNS if name in row}
        if part:
            row["parameters"] = part
        if cells["clips"]:
            row["camera"] = json.loads(cells["clips"])
        added = {
            name: cell if name in TEXT_COLUMNS else json.loads(cell) if cell else None
            for name, cell in cells.items()
            if name and is_signal_column(name) and (cell or name in FIRST_PASS_COLUMNS)
        }
        row |= {name: value for name, value in added.items() if name not in METRIC_COLUMNS} | metrics_from(added)
        if DUPLICATE_COLUMN in cells and "error" not in row:  # also where it is empty, as in the first row
            row.setdefault(DUPLICATE_COLUMN, None)
        if kept:
            row[KEPT_KEY] = {name: cells[name] or None for name in kept}
        yield row


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns errors into `TableError`s that name the file."""
    try:
        yield
    except TableError:
        raise
    except OSError as error:
        raise TableError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
        raise TableError(f"{path} is not a table of scores: {error}") from error
