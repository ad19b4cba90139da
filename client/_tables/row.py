"""A row of a table as a JSON object: the one form that every output format is written from."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from .._sdk.metrics import Metrics
from .._sdk.result import Score, exact_floats
from ..errors import ClientError

Row = dict[str, Any]
"""`video`, `parameters` and `kept` if any, then `error`, `error_kind` and `reason`, or `skipped_by`, or what
`Score.as_row()` returns; then the `FIRST_PASS_COLUMNS` of a run with a first pass.

Embeddings and their times are arrays; `as_json` makes them lists."""

FLAT_COLUMNS = (
    "video",
    "start_seconds",
    "end_seconds",
    "from_first_frame",
    "error",
    "error_kind",
    "reason",
    "skipped_by",
    "camera_movement_score",
    "object_movement_score",
    "dynamics_score",
    "duration_seconds",
    "header_duration_seconds",
    "frames",
    "frames_per_second",
    "width",
    "height",
    "decoded_share",
    "decoder",
)
"""The columns of the table with a single value; `clips` follows them."""
PART_COLUMNS = ("start_seconds", "end_seconds", "from_first_frame")
"""The columns that are request parameters: the part of the video that was scored."""
INFO_COLUMNS = (
    *("duration_seconds", "header_duration_seconds", "frames", "frames_per_second", "width", "height"),
    "decoded_share",
)
"""The columns of `info`; one without a value is not in it."""
ADDED_COLUMNS = ("reason", "skipped_by", "from_first_frame", "header_duration_seconds", "decoded_share", "decoder")
"""Columns that older tables lack; their value is then null."""
PARAMETERS_OF_A_ROW = (*PART_COLUMNS, "allow_damaged")
"""Parameters that may differ from row to row."""
EMBEDDING_COLUMNS = {"segments": "segment_embeddings", "frames": "frame_embeddings"}
"""The columns of embeddings, by their signal."""
SECONDS_COLUMN = "frame_seconds"
ACTIONS_COLUMN = "actions"
METRICS = "metrics"
"""The key of a row's measures, an object; a table has a column for each of them."""
METRIC_COLUMNS = {"measured_frames" if each.name == "frames" else each.name: each.name for each in fields(Metrics)}
"""The measure of each column; `frames` is a column already, of how many the video has."""
PHRASE_COLUMNS = ("motion_phrase", "motion_phrase_short")
"""The columns of `--phrases`: a sentence, and the short form."""
DUPLICATE_COLUMN = "duplicate_of"
"""The column of `--dedupe`: the video with the same bytes whose scores these are; null for a video that was sent."""
TEXT_COLUMNS = (*PHRASE_COLUMNS, DUPLICATE_COLUMN)
"""Columns of text beside those of signals."""
FIRST_PASS_COLUMNS = ("first_pass_change", "first_pass_black_share", "first_pass_frozen_share")
"""The columns of `--first-pass`: what it saw, null for a video that it did not have to look at to its end."""
SKIPPED_BY = "skipped_by"
"""The column, and the key of a row without scores, that says why a first pass skipped the video."""
HEAD_COLUMN = "head_"
"""What the column of a head begins with."""
KEPT_KEY = "kept"
"""The key of what `--keep` takes from a manifest: an object of texts, null where the manifest has nothing."""
NO_SCORES = "it has no scores"
"""The error of a row that has neither scores nor an error."""


def scored_row(
    video: str,
    score: Score,
    parameters: Mapping[str, float] | None = None,
    kept: Mapping[str, str | None] | None = None,
) -> Row:
    """The row of a video that was scored with these parameters, with what is kept of a manifest."""
    return {"video": video} | _given(parameters, kept) | score.as_row()


def failed_row(
    video: str,
    error: ClientError,
    parameters: Mapping[str, float] | None = None,
    kept: Mapping[str, str | None] | None = None,
) -> Row:
    """The row of a video that was not scored."""
    failure = {"error": str(error), "error_kind": type(error).__name__, "reason": error.reason}
    return {"video": video} | _given(parameters, kept) | failure


def skipped_row(
    video: str,
    by: str,
    parameters: Mapping[str, float] | None = None,
    kept: Mapping[str, str | None] | None = None,
) -> Row:
    """The row of a video that a first pass skipped: `by` is `static`, `black` or `frozen`."""
    return {"video": video} | _given(parameters, kept) | {SKIPPED_BY: by}


def is_signal_column(name: str) -> bool:
    """Whether a column or a key of a row is one of a signal beside motion and camera, a head, text or a first pass."""
    named = (*EMBEDDING_COLUMNS.values(), SECONDS_COLUMN, ACTIONS_COLUMN, METRICS, *METRIC_COLUMNS, *TEXT_COLUMNS)
    named = (*named, *FIRST_PASS_COLUMNS)
    return name in named or name.startswith(HEAD_COLUMN)


def metric_values(row: Row) -> dict[str, Any]:
    """The measures of a row by their columns; None for those that it lacks."""
    measures = row.get(METRICS) or {}
    return {column: measures.get(name) for column, name in METRIC_COLUMNS.items()}


def metrics_from(columns: Mapping[str, Any]) -> Row:
    """The opposite: `metrics` of a row with these columns, whose values may be None; nothing if all are."""
    measures = {name: columns.get(column) for column, name in METRIC_COLUMNS.items()}
    return {METRICS: measures} if any(value is not None for value in measures.values()) else {}


def is_own_column(name: str) -> bool:
    """Whether a table has a column of this name of its own, or would be read otherwise as a manifest with one."""
    return name in (*FLAT_COLUMNS, "clips", "dropped_by", "verdicts", "path") or is_signal_column(name)


def as_json(row: Row) -> Row:
    """The row with lists for arrays: the JSON object of the documentation."""
    return {
        name: exact_floats(value).tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()
    }


def flat(row: Row) -> Row:
    """The `FLAT_COLUMNS` of a row; None for values that it lacks."""
    parameters = row.get("parameters", {})
    values = row | row.get("motion", {}) | row.get("info", {})
    values |= {name: parameters.get(name) for name in PART_COLUMNS}
    return {name: values.get(name) for name in FLAT_COLUMNS}


def _given(parameters: Mapping[str, float] | None, kept: Mapping[str, str | None] | None) -> Row:
    return ({"parameters": dict(parameters)} if parameters else {}) | ({KEPT_KEY: dict(kept)} if kept else {})
