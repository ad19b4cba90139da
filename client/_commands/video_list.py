"""A list of videos that appears only when it is complete."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._os_errors import reason_of
from .._sdk.result import exact_floats
from .._tables.presets import COLUMNS
from .._tables.replace import replacing
from .._tables.row import (
    ACTIONS_COLUMN,
    ADDED_COLUMNS,
    DUPLICATE_COLUMN,
    EMBEDDING_COLUMNS,
    FIRST_PASS_COLUMNS,
    HEAD_COLUMN,
    INFO_COLUMNS,
    KEPT_KEY,
    METRIC_COLUMNS,
    NO_SCORES,
    PART_COLUMNS,
    PHRASE_COLUMNS,
    SECONDS_COLUMN,
    SKIPPED_BY,
    Row,
    is_signal_column,
    metrics_from,
)
from .._tables.table import Metadata

VERDICTS_COLUMN = "verdicts"
"""The presets that match a row, whether they drop it or not."""


class UnwritableList(Exception):
    """A list cannot be written; the message says why."""


class VideoList:
    """One of the lists of the filter: `kept`, `dropped` or `failed`. A context manager.

    `finish` writes the end of the list; leaving the context puts the list in its place, or leaves the file that was
    there before if an exception was raised. Raises `UnwritableList`.
    """

    SUFFIXES: ClassVar = (".txt", ".jsonl", ".parquet")

    def __init__(self, path: Path, what: str, metadata: Metadata, schema: pa.Schema) -> None:
        """path: the file, ending in one of SUFFIXES; what: which list; metadata, schema: of the table with the rows."""
        self.path = path
        self.what = what
        self._text: TextIO | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._metadata = metadata
        self._place = ExitStack()
        if what == "dropped":
            schema = schema.append(pa.field("dropped_by", pa.list_(pa.string())))
        self._schema = schema

    def __enter__(self) -> "VideoList":
        partial = self._place.enter_context(replacing(self.path))
        self._place.callback(self._close)
        try:
            if self.path.suffix == ".parquet":
                self._parquet = pq.ParquetWriter(partial, self._schema, compression="zstd")
            else:
                self._text = partial.open("w", encoding="utf-8", errors="surrogateescape", newline="\n")
        except OSError as error:
            self._place.__exit__(type(error), error, error.__traceback__)
            raise self._unwritable(error) from error
        return self

    def add(self, rows: pa.RecordBatch, taken_by: Sequence[list[str]]) -> None:
        """Add rows of the table, each with the names of the presets that match it."""
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
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """Write the end of the list."""
        try:
            self._close()
        except OSError as error:
            raise self._unwritable(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._place.__exit__(kind, error, trace)
        except OSError as unwritten:
            raise self._unwritable(unwritten) from unwritten

    def _json_line(self, row: dict[str, Any], names: list[str]) -> str:
        content = as_row(row, self._metadata)
        if VERDICTS_COLUMN in row:
            content[VERDICTS_COLUMN] = row[VERDICTS_COLUMN]
        return json.dumps(content | {"dropped_by": names} if self.what == "dropped" else content) + "\n"

    def _close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if self._text is not None:
            self._text.close()

    def _unwritable(self, error: OSError) -> UnwritableList:
        return UnwritableList(f"cannot write {self.path}: {reason_of(error)}")


def _text_line(row: dict[str, Any], what: str, names: list[str]) -> str:
    video = row["video"]
    if row.get("start_seconds") is not None or row.get("end_seconds") is not None:
        raise UnwritableList(f"{video} was scored in part, and a .txt list cannot say which: write .jsonl or .parquet")
    if "\n" in video or "\t" in video:
        raise UnwritableList(f"{video!r} has a line break or a tab in its name: write .jsonl or .parquet")
    notes = {"kept": "", "dropped": "\t" + ",".join(names), "failed": "\t" + (row["error"] or NO_SCORES)}
    return f"{video}{notes[what]}\n"


def as_row(row: dict[str, Any], metadata: Metadata) -> Row:
    """A row of a table, as pyarrow gives it, as the JSON object that the command `score` prints."""
    part = {name: row[name] for name in PART_COLUMNS if row[name] is not None}
    parameters = metadata.parameters | part
    content: Row = {"video": row["video"]} | ({"parameters": parameters} if parameters else {})
    if metadata.kept:
        content[KEPT_KEY] = {name: row[name] for name in metadata.kept}
    if row[SKIPPED_BY] is not None:
        seen = {name: _shortest(row[name]) for name in FIRST_PASS_COLUMNS if row.get(name) is not None}
        return content | {SKIPPED_BY: row[SKIPPED_BY]} | seen
    lacks_motion = metadata.has_motion and any(row[column] is None for column in COLUMNS.values())
    if row["error"] is not None or lacks_motion:
        failure = {"error": row["error"] or NO_SCORES, "error_kind": row["error_kind"], "reason": row["reason"]}
        return content | failure
    decoder = {} if row["decoder"] is None else {"decoder": row["decoder"]}
    scores: Row = {}
    if metadata.has_motion:
        scores["motion"] = {column: float(str(np.float32(row[column]))) for column in COLUMNS.values()}
    if metadata.has_camera:
        scores["camera"] = [
            {
                "start_seconds": _rounded(clip["start_seconds"]),
                "end_seconds": _rounded(clip["end_seconds"]),
                "labels": clip["labels"],
                "probabilities": dict(zip(metadata.labels, map(_rounded, clip["probabilities"]), strict=True)),
            }
            for clip in row["clips"] or ()
        ]
    info = {name: row[name] for name in INFO_COLUMNS if name not in ADDED_COLUMNS or row[name] is not None}
    return content | scores | _signals(row) | {"info": info, "weights": metadata.weights} | decoder


def _signals(row: dict[str, Any]) -> Row:
    """What a row has of signals beside motion and camera."""
    content: Row = {}
    for name, value in row.items():
        if name == DUPLICATE_COLUMN or name in FIRST_PASS_COLUMNS:  # also where it is null, as in the first row
            content[name] = _shortest(value)
        if value is None or not is_signal_column(name):
            continue
        if name in EMBEDDING_COLUMNS.values() or name == SECONDS_COLUMN:
            content[name] = exact_floats(np.asarray(value, np.float32)).tolist()
        elif name == ACTIONS_COLUMN:
            clips = [clip | {"actions": _ranked(clip["actions"])} for clip in value["clips"]]
            content[name] = {"video": _ranked(value["video"]), "clips": [_clip_times(clip) for clip in clips]}
        elif name in PHRASE_COLUMNS:
            content[name] = value
        elif name.startswith(HEAD_COLUMN):
            content[name] = {entry["label"]: _rounded(entry["probability"]) for entry in value}
    return content | metrics_from({name: _shortest(row.get(name)) for name in METRIC_COLUMNS})


def _shortest(value: Any) -> Any:
    """A number that was float32 with as few digits as tell it apart."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _ranked(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry | {"probability": _rounded(entry["probability"])} for entry in entries]


def _clip_times(clip: dict[str, Any]) -> dict[str, Any]:
    return clip | {name: _rounded(clip[name]) for name in ("start_seconds", "end_seconds")}


def _rounded(number: float) -> float:
    """Rounded to 6 decimals, like scores that are printed."""
    return round(number, 6)
