"""Tables of scores, one row per video: read from Parquet, JSON lines or CSV, written as Parquet.

Needs pyarrow. The columns are those of `SCHEMA` for every file format; `Metadata`, which holds for the whole table, is
in the schema's metadata. A CSV file has no weights and no parameters.
"""

import contextlib
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from pyarrow import parquet

from .replace import replacing
from .row import ADDED_COLUMNS, FLAT_COLUMNS, PARAMETERS_OF_A_ROW, PART_COLUMNS, Row, flat

METADATA_KEY = b"video_motion"
FORMATS = (".parquet", ".jsonl", ".csv")
"""Suffixes of tables."""
ROW_GROUP_ROWS = 4096
_REPEATING = [
    "error",
    "error_kind",
    "reason",
    "frames_per_second",
    "width",
    "height",
    "decoder",
    "clips.list.element.labels.list.element",
]
"""Columns that a dictionary makes smaller; for a column of scores, it would hold all of them in memory."""
_BATCH_ROWS = 128  # as Python objects, which take a hundred times the memory of Arrow's

SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("from_first_frame", pa.int8()),
        pa.field("error", pa.string()),
        pa.field("error_kind", pa.string()),
        pa.field("reason", pa.string()),
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

    def schema(self) -> pa.Schema:
        """`SCHEMA` with this metadata."""
        return SCHEMA.with_metadata({METADATA_KEY: json.dumps(asdict(self))})

    @classmethod
    def of(cls, table: pa.Table | pa.Schema) -> "Metadata":
        """The metadata in the schema of a table."""
        schema = table.schema if isinstance(table, pa.Table) else table
        content = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
        return cls(content.get("weights", {}), tuple(content.get("labels", ())), content.get("parameters", {}))


def read_table(path: str | PathLike[str]) -> pa.Table:
    """A whole table, in memory; its columns are those of `SCHEMA` for every format. Raises `TableError`."""
    metadata = read_metadata(path)
    return pa.Table.from_batches(read_batches(path, metadata), metadata.schema())


def read_batches(path: str | PathLike[str], metadata: Metadata | None = None) -> Iterator[pa.RecordBatch]:
    """A table in batches, for tables larger than memory; same columns as `read_table`. Raises `TableError`."""
    path = Path(path)
    metadata = metadata or read_metadata(path)
    schema = metadata.schema()
    if _format(path) == ".parquet":
        with _reading(path), parquet.ParquetFile(path) as file:
            present = [name for name in SCHEMA.names if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=present):
                table = pa.Table.from_batches([batch])
                for name in set(SCHEMA.names) - set(present):
                    table = table.append_column(name, pa.nulls(table.num_rows, SCHEMA.field(name).type))
                yield from table.select(SCHEMA.names).cast(schema).to_batches()
        return
    rows = _read_rows(path)
    while some := list(islice(rows, _BATCH_ROWS)):
        with _reading(path):
            batch = _as_batch(some, metadata)
        yield batch


def read_metadata(path: str | PathLike[str]) -> Metadata:
    """The metadata of a table; for JSON lines and CSV, what the first scored row has. Raises `TableError`."""
    path = Path(path)
    if _format(path) == ".parquet":
        with _reading(path):
            schema = parquet.read_schema(path)
        if missing := set(SCHEMA.names) - set(schema.names) - set(ADDED_COLUMNS):
            raise TableError(f"{path} is not a table of scores: it has no column {sorted(missing)[0]!r}")
        return Metadata.of(schema)
    for row in _read_rows(path):
        if row.get("camera"):
            parameters = {k: v for k, v in row.get("parameters", {}).items() if k not in PARAMETERS_OF_A_ROW}
            return Metadata(row.get("weights", {}), tuple(row["camera"][0]["probabilities"]), parameters)
    return Metadata()


def write_parquet(path: Path, rows: Iterable[Row], metadata: Metadata) -> None:
    """Write a table whole or not at all; until it is whole, the file before it stays. Raises OSError."""
    rows = iter(rows)
    with (
        replacing(path) as partial,
        parquet.ParquetWriter(partial, metadata.schema(), compression="zstd", use_dictionary=_REPEATING) as writer,
    ):
        waiting: list[pa.RecordBatch] = []
        while some := list(islice(rows, _BATCH_ROWS)):
            waiting.append(_as_batch(some, metadata))
            if len(waiting) * _BATCH_ROWS >= ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))


def _as_batch(rows: list[Row], metadata: Metadata) -> pa.RecordBatch:
    content = [flat(row) | {"clips": _clips(row, metadata.labels)} for row in rows]
    return pa.RecordBatch.from_pylist(content, schema=metadata.schema())


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


def _read_rows(path: Path) -> Iterator[Row]:
    with _reading(path), path.open(encoding="utf-8", newline="") as file:
        yield from _read_jsonl(file) if _format(path) == ".jsonl" else _read_csv(file)


def _read_jsonl(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.endswith("\n"):
            return  # a run is still writing it
        row = json.loads(line)
        if not isinstance(row, dict) or "video" not in row or not ("motion" in row or "error" in row):
            raise ValueError(f"line {number} is not the score of a video")
        yield row


def _read_csv(file: TextIO) -> Iterator[Row]:
    reader = csv.DictReader(file, strict=True)
    if missing := {*FLAT_COLUMNS, "clips"} - set(reader.fieldnames or ()) - set(ADDED_COLUMNS):
        raise ValueError(f"it has no column {sorted(missing)[0]!r}")
    whole = ("frames", "width", "height", "from_first_frame")
    text = ("video", "error", "error_kind", "reason", "decoder")
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
        yield row


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns errors into `TableError`s that name the file."""
    try:
        yield
    except TableError:
        raise
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
        raise TableError(f"{path} is not a table of scores: {error}") from error
