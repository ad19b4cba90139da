"""A list of videos that is written as it goes, and is there only when it is whole."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._tables.presets import COLUMNS
from .._tables.row import Record
from .._tables.table import Metadata


class UnwritableList(Exception):
    """A list cannot be written; the message says why."""


class VideoList:
    """One of the lists of `client.filter`: `kept`, `dropped` or `failed`.

    Written beside its place under another name, which `finish` changes; without `finish`, nothing is left.
    """

    SUFFIXES: ClassVar = (".txt", ".jsonl", ".parquet")

    def __init__(self, path: Path, what: str, metadata: Metadata) -> None:
        """path: where to, ending in one of SUFFIXES; what: which list; metadata: of the table with the rows."""
        self.path = path
        self.what = what
        self._partial = path.with_name(path.name + ".partial")
        self._text: TextIO | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._metadata = metadata
        schema = metadata.schema()
        if what == "dropped":
            schema = schema.append(pa.field("dropped_by", pa.list_(pa.string())))
        self._schema = schema

    def __enter__(self) -> "VideoList":
        try:
            if self.path.suffix == ".parquet":
                self._parquet = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
            else:
                self._text = self._partial.open("w", encoding="utf-8", errors="surrogateescape", newline="\n")
        except OSError as error:
            raise UnwritableList(f"cannot write {self.path}: {error.strerror or error}") from error
        return self

    def add(self, rows: pa.RecordBatch, taken_by: list[list[str]]) -> None:
        """Add rows of the table, each with the names of the presets that take it."""
        try:
            if self._parquet is not None:
                columns = list(rows.columns)
                if self.what == "dropped":
                    columns.append(pa.array(taken_by, pa.list_(pa.string())))
                self._parquet.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
            elif self._text is not None:
                as_text = self.path.suffix == ".txt"
                wanted = rows.select(["video", "start_seconds", "end_seconds", "error"]) if as_text else rows
                for row, names in zip(wanted.to_pylist(), taken_by, strict=True):
                    self._text.write(_text_line(row, self.what, names) if as_text else self._json_line(row, names))
        except OSError as error:
            raise UnwritableList(f"cannot write {self.path}: {error.strerror or error}") from error

    def finish(self) -> None:
        """Put the list in its place."""
        try:
            self._close()
            os.replace(self._partial, self.path)
        except OSError as error:
            raise UnwritableList(f"cannot write {self.path}: {error.strerror or error}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._close()
        self._partial.unlink(missing_ok=True)

    def _json_line(self, row: dict[str, Any], names: list[str]) -> str:
        record = as_record(row, self._metadata)
        return json.dumps(record | {"dropped_by": names} if self.what == "dropped" else record) + "\n"

    def _close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if self._text is not None:
            self._text.close()


def _text_line(row: dict[str, Any], what: str, names: list[str]) -> str:
    video = row["video"]
    if row.get("start_seconds") is not None or row.get("end_seconds") is not None:
        raise UnwritableList(f"{video} was scored in part, which a .txt list cannot say: write .jsonl or .parquet")
    if "\n" in video or "\t" in video:
        raise UnwritableList(f"{video!r} has a line break or a tab in its name: write .jsonl or .parquet")
    notes = {"kept": "", "dropped": "\t" + ",".join(names), "failed": "\t" + (row["error"] or "it has no scores")}
    return f"{video}{notes[what]}\n"


def as_record(row: dict[str, Any], metadata: Metadata) -> Record:
    """A row of the table as the JSON object that `client.score` prints."""
    part = {name: row[name] for name in ("start_seconds", "end_seconds") if row[name] is not None}
    parameters = metadata.parameters | part
    record: Record = {"video": row["video"]} | ({"parameters": parameters} if parameters else {})
    if row["error"] is not None or any(row[column] is None for column in COLUMNS.values()):
        return record | {"error": row["error"] or "it has no scores", "error_kind": row["error_kind"]}
    return record | {
        "motion": {column: float(str(np.float32(row[column]))) for column in COLUMNS.values()},
        "camera": [
            {
                "start_seconds": _rounded(clip["start_seconds"]),
                "end_seconds": _rounded(clip["end_seconds"]),
                "labels": clip["labels"],
                "probabilities": dict(zip(metadata.labels, map(_rounded, clip["probabilities"]), strict=True)),
            }
            for clip in row["clips"] or ()
        ],
        "info": {name: row[name] for name in ("duration_seconds", "frames", "frames_per_second", "width", "height")},
        "weights": metadata.weights,
    }


def _rounded(number: float) -> float:
    """In the 6 decimals that `client.score` prints."""
    return round(number, 6)
