"""A row of the table as a JSON object, the one that the README shows; every format is written from it."""

from collections.abc import Mapping
from typing import Any

from .._sdk.result import Score
from ..errors import ClientError

Record = dict[str, Any]
"""`video`, `parameters` if any, and either `motion`, `camera`, `info` and `weights` or `error` and `error_kind`."""

FLAT_COLUMNS = (
    "video",
    "start_seconds",
    "end_seconds",
    "error",
    "error_kind",
    "camera_movement_score",
    "object_movement_score",
    "dynamics_score",
    "duration_seconds",
    "frames",
    "frames_per_second",
    "width",
    "height",
)
"""The columns of the table that hold one value; after them comes `clips`."""


def scored(video: str, score: Score, parameters: Mapping[str, float] | None = None) -> Record:
    """The record of a video that was scored with these parameters."""
    return {"video": video} | _given(parameters) | score.as_dict()


def failed(video: str, error: ClientError, parameters: Mapping[str, float] | None = None) -> Record:
    """The record of a video that was not."""
    return {"video": video} | _given(parameters) | {"error": str(error), "error_kind": type(error).__name__}


def flat(record: Record) -> Record:
    """The `FLAT_COLUMNS` of a record, None where it has no such value."""
    parameters = record.get("parameters", {})
    values = record | record.get("motion", {}) | record.get("info", {})
    values |= {name: parameters.get(name) for name in ("start_seconds", "end_seconds")}
    return {name: values.get(name) for name in FLAT_COLUMNS}


def _given(parameters: Mapping[str, float] | None) -> Record:
    return {"parameters": dict(parameters)} if parameters else {}
