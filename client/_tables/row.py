"""A row of a table as a JSON object: the one form that every output format is written from."""

from collections.abc import Mapping
from typing import Any

from .._sdk.result import Score
from ..errors import ClientError

Row = dict[str, Any]
"""`video`, `parameters` if any, then `error`, `error_kind` and `reason`, or what `Score.as_dict()` returns."""

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
NO_SCORES = "it has no scores"
"""The error of a row that has neither scores nor an error."""


def scored_row(video: str, score: Score, parameters: Mapping[str, float] | None = None) -> Row:
    """The row of a video that was scored with these parameters."""
    return {"video": video} | _given(parameters) | score.as_dict()


def failed_row(video: str, error: ClientError, parameters: Mapping[str, float] | None = None) -> Row:
    """The row of a video that was not scored."""
    failure = {"error": str(error), "error_kind": type(error).__name__, "reason": error.reason}
    return {"video": video} | _given(parameters) | failure


def flat(row: Row) -> Row:
    """The `FLAT_COLUMNS` of a row; None for values that it lacks."""
    parameters = row.get("parameters", {})
    values = row | row.get("motion", {}) | row.get("info", {})
    values |= {name: parameters.get(name) for name in PART_COLUMNS}
    return {name: values.get(name) for name in FLAT_COLUMNS}


def _given(parameters: Mapping[str, float] | None) -> Row:
    return {"parameters": dict(parameters)} if parameters else {}
