"""The table of scores, one row a video: read from Parquet, JSON lines or CSV, written as Parquet.

Needs pyarrow (`pip install 'video-motion[table]'`). The columns are those of `SCHEMA` whatever the file's format; what
holds for the whole table, `Metadata`, is in the schema's metadata. A CSV file does not know weights and parameters.
"""

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from pyarrow import parquet

from .row import FLAT_COLUMNS, Record, flat

METADATA_KEY = b"video_motion"
FORMATS = (".parquet", ".jsonl", ".csv")
"""How the names of tables end."""
ROW_GROUP_ROWS = 4096
_REPEATING = ["error", "error_kind", "frames_per_second", "width", "height", "clips.list.element.labels.list.element"]
"""What a dictionary makes smaller; one of a column of scores holds every one of them while it is written."""
_BATCH_ROWS = 128  # as Python objects at a time, which are a hundred times larger than what Arrow makes of them

SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("error", pa.string()),
        pa.field("error_kind", pa.string()),
        pa.field("camera_movement_score", pa.float32()),
        pa.field("object_movement_score", pa.float32()),
        pa.field("dynamics_score", pa.float32()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("frames", pa.int64()),
        pa.field("frames_per_second", pa.float64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
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
"""The columns: `error` is null where the video was scored, and all from `camera_movement_score` on where it was not.

`start_seconds` and `end_seconds` are the part that was asked for, null for the whole. The probabilities of a clip are
in the order of the metadata's labels; its labels are those of at least 0.5, most probable first.
"""


class TableError(ValueError):
    """A file is no table of scores; the message says what is wrong with it."""


@dataclass(frozen=True)
class Metadata:
    """What holds for every row of a table."""

    weights: dict[str, str] = field(default_factory=dict)
    """`motion`, `camera` and `precision`, as the server named them; empty where the file does not say."""
    labels: tuple[str, ...] = ()
    """The camera labels, in the order of each clip's probabilities; empty where no row has any."""
    parameters: dict[str, float] = field(default_factory=dict)
    """The parameters given, without the part of the video, which is in the columns."""

    def schema(self) -> pa.Schema:
        """`SCHEMA` with this as its metadata."""
        return SCHEMA.with_metadata({METADATA_KEY: json.dumps(asdict(self))})

    @classmethod
    def of(cls, table: pa.Table | pa.Schema) -> "Metadata":
        """What the schema of a table says."""
        schema = table.schema if isinstance(table, pa.Table) else table
        content = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
        return cls(content.get("weights", {}), tuple(content.get("labels", ())), content.get("parameters", {}))


def read_table(path: str | PathLike[str]) -> pa.Table:
    """A whole table, whatever its format. Raises `TableError`."""
    metadata = read_metadata(path)
    return pa.Table.from_batches(read_batches(path, metadata), metadata.schema())


def read_batches(path: str | PathLike[str], metadata: Metadata | None = None) -> Iterator[pa.RecordBatch]:
    """A table in parts, for those that are larger than memory. Raises `TableError`."""
    path = Path(path)
    metadata = metadata or read_metadata(path)
    schema = metadata.schema()
    if _format(path) == ".parquet":
        with _reading(path), parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=SCHEMA.names):
                table = pa.Table.from_batches([batch]).select(SCHEMA.names).cast(schema)
                yield from table.to_batches()
        return
    records = _read_records(path)
    while rows := list(islice(records, _BATCH_ROWS)):
        with _reading(path):
            batch = _as_batch(rows, metadata)
        yield batch


def read_metadata(path: str | PathLike[str]) -> Metadata:
    """What holds for every row of a table; of JSON lines and CSV as much as their rows say. Raises `TableError`."""
    path = Path(path)
    if _format(path) == ".parquet":
        with _reading(path):
            schema = parquet.read_schema(path)
        if missing := set(SCHEMA.names) - set(schema.names):
            raise TableError(f"{path} is no table of scores: it has no column {sorted(missing)[0]!r}")
        return Metadata.of(schema)
    for record in _read_records(path):
        if record.get("camera"):
            parameters = {k: v for k, v in record.get("parameters", {}).items() if k not in FLAT_COLUMNS}
            return Metadata(record.get("weights", {}), tuple(record["camera"][0]["probabilities"]), parameters)
    return Metadata()


def write_parquet(path: Path, records: Iterable[Record], metadata: Metadata) -> None:
    """Write a table whole or not at all; what was there before is there until it is."""
    partial = path.with_name(f"{path.name}.partial")
    records = iter(records)
    with partial.open("wb") as file:
        with parquet.ParquetWriter(file, metadata.schema(), compression="zstd", use_dictionary=_REPEATING) as writer:
            waiting: list[pa.RecordBatch] = []
            while rows := list(islice(records, _BATCH_ROWS)):
                waiting.append(_as_batch(rows, metadata))
                if len(waiting) * _BATCH_ROWS >= ROW_GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _as_batch(records: list[Record], metadata: Metadata) -> pa.RecordBatch:
    rows = [flat(record) | {"clips": _clips(record, metadata.labels)} for record in records]
    return pa.RecordBatch.from_pylist(rows, schema=metadata.schema())


def _clips(record: Record, labels: tuple[str, ...]) -> list[dict[str, Any]] | None:
    if "camera" not in record:
        return None
    clips = []
    for clip in record["camera"]:
        probabilities = clip["probabilities"]
        if len(probabilities) != len(labels):
            raise ValueError(f"{record['video']!r} has {len(probabilities)} labels, others have {len(labels)}")
        clips.append(clip | {"probabilities": [probabilities[label] for label in labels]})
    return clips


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise TableError(f"{path} is no table of scores: its name must end in {', '.join(FORMATS)}")
    return suffix


def _read_records(path: Path) -> Iterator[Record]:
    with _reading(path), path.open(encoding="utf-8", newline="") as file:
        yield from _read_jsonl(file) if _format(path) == ".jsonl" else _read_csv(file)


def _read_jsonl(file: TextIO) -> Iterator[Record]:
    for number, line in enumerate(file, 1):
        if not line.endswith("\n"):
            return  # still being written
        record = json.loads(line)
        if not isinstance(record, dict) or "video" not in record or not ("motion" in record or "error" in record):
            raise ValueError(f"line {number} is not the score of a video")
        yield record


def _read_csv(file: TextIO) -> Iterator[Record]:
    reader = csv.DictReader(file, strict=True)
    if missing := {*FLAT_COLUMNS, "clips"} - set(reader.fieldnames or ()):
        raise ValueError(f"it has no column {sorted(missing)[0]!r}")
    whole = ("frames", "width", "height")
    text = ("video", "error", "error_kind")
    for row in reader:
        record: Record = {
            name: value if name in text else (int if name in whole else float)(value)
            for name in FLAT_COLUMNS
            if (value := row[name])
        }
        part = {name: record.pop(name) for name in ("start_seconds", "end_seconds") if name in record}
        if part:
            record["parameters"] = part
        if row["clips"]:
            record["camera"] = json.loads(row["clips"])
        yield record


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong meanwhile, said of the file."""
    try:
        yield
    except TableError:
        raise
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
        raise TableError(f"{path} is no table of scores: {error}") from error
