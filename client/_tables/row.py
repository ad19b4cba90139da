"""A row of a table as a JSON object: the one form that every output format is written from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._sdk.result import Score, exact_floats
from ..errors import ClientError

Row = dict[str, Any]
"""`video`, `parameters` if any, then `error`, `error_kind` and `reason`, or what `Score.as_row()` returns.

Embeddings and their times are arrays; `as_json` makes them lists."""

FLAT_COLUMNS = (
    "video",
    "start_seconds",
    "end_seconds",
    "from_first_frame",
    "error",
    "error_kind",
    "reason",
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
ADDED_COLUMNS = ("reason", "from_first_frame", "header_duration_seconds", "decoded_share", "decoder")
"""Columns that older tables lack; their value is then null."""
PARAMETERS_OF_A_ROW = (*PART_COLUMNS, "allow_damaged")
"""Parameters that may differ from row to row."""
EMBEDDING_COLUMNS = {"segments": "segment_embeddings", "frames": "frame_embeddings"}
"""The columns of embeddings, by their signal."""
SECONDS_COLUMN = "frame_seconds"
ACTIONS_COLUMN = "actions"
PHRASE_COLUMNS = ("motion_phrase", "motion_phrase_short")
"""The columns of `--phrases`: a sentence, and the short form."""
HEAD_COLUMN = "head_"
"""What the column of a head begins with."""
NO_SCORES = "it has no scores"
"""The error of a row that has neither scores nor an error."""


def scored_row(video: str, score: Score, parameters: Mapping[str, float] | None = None) -> Row:
    """The row of a video that was scored with these parameters."""
    return {"video": video} | _given(parameters) | score.as_row()


def failed_row(video: str, error: ClientError, parameters: Mapping[str, float] | None = None) -> Row:
    """The row of a video that was not scored."""
    failure = {"error": str(error), "error_kind": type(error).__name__, "reason": error.reason}
    return {"video": video} | _given(parameters) | failure


def is_signal_column(name: str) -> bool:
    """Whether a column or a key of a row is one of a signal beside motion and camera, of a head, or of phrases."""
    named = (*EMBEDDING_COLUMNS.values(), SECONDS_COLUMN, ACTIONS_COLUMN, *PHRASE_COLUMNS)
    return name in named or name.startswith(HEAD_COLUMN)


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


def _given(parameters: Mapping[str, float] | None) -> Row:
    return {"parameters": dict(parameters)} if parameters else {}
