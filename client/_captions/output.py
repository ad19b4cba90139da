"""The table of captions."""

import json
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from .._tables.replace import replacing
from .journal import CaptionJournal, Row

SUFFIXES = (".parquet", ".jsonl")
COLUMN = "recaption"
"""The new caption."""
SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("from_first_frame", pa.int8()),
        pa.field("error", pa.string()),
        pa.field("caption", pa.string()),
        pa.field(COLUMN, pa.string()),
        pa.field("motion_phrase", pa.string()),
        pa.field("model", pa.string()),
        pa.field("tokens", pa.int64()),
        pa.field("attempts", pa.int32()),
    ]
)
"""The columns; null where there is no value. `error` says why a video has no new caption."""
_ROWS = 4096


def write_captions(path: Path, journal: CaptionJournal) -> None:
    """Write the rows of a journal, whole or not at all. Raises OSError."""
    with replacing(path) as partial:
        if path.suffix.lower() == ".jsonl":
            with partial.open("w", encoding="utf-8") as file:
                for row in journal.rows():
                    file.write(json.dumps(_whole(row)) + "\n")
            return
        with parquet.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            some: list[Row] = []
            for row in journal.rows():
                some.append(_whole(row))
                if len(some) == _ROWS:
                    writer.write_table(pa.Table.from_pylist(some, SCHEMA))
                    some.clear()
            if some:
                writer.write_table(pa.Table.from_pylist(some, SCHEMA))


def _whole(row: Row) -> Row:
    return {name: row.get(name) for name in SCHEMA.names}
