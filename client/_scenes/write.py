"""The file of scenes, a row for each scene: a manifest for the command `score`."""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from .._tables.replace import replacing
from .journal import Entry
from .settings import Settings

COLUMNS = ("path", "start_seconds", "end_seconds", "scene", "error")
"""The file; start and end of the scene in seconds from the first frame; its number, from 0; why a video has no scenes,
in a row without the three before it."""
METADATA_KEY = b"video_motion_scenes"
_ROWS_AT_ONCE = 4096

Row = dict[str, Any]


def rows_of(entries: Iterable[Entry]) -> Iterator[Row]:
    """The rows of videos; a video without scenes has one."""
    for entry in entries:
        if entry.error is not None:
            yield dict(zip(COLUMNS, (entry.path, None, None, None, entry.error), strict=True))
        for number, (start, end) in enumerate(entry.scenes):
            yield dict(zip(COLUMNS, (entry.path, start, end, number, None), strict=True))


def write_scenes(path: Path, entries: Iterable[Entry], settings: Settings) -> None:
    """Write the file whole or not at all, in the format of its suffix. Raises OSError."""
    rows = rows_of(entries)
    with replacing(path) as partial:
        if path.suffix.lower() == ".parquet":
            _write_parquet(partial, rows, settings)
            return
        with partial.open("w", encoding="utf-8", newline="") as file:
            if path.suffix.lower() == ".csv":
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            else:
                for row in rows:
                    file.write(json.dumps({name: value for name, value in row.items() if value is not None}) + "\n")


def _write_parquet(path: Path, rows: Iterator[Row], settings: Settings) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("start_seconds", pa.float64()),
            pa.field("end_seconds", pa.float64()),
            pa.field("scene", pa.int32()),
            pa.field("error", pa.string()),
        ],
        {METADATA_KEY: json.dumps(settings.as_dict())},
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
