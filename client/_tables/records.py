"""What a journal holds of each video and of the run, as bytes and text; what is damaged is found when it is read."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from .row import Row


class Damaged(ValueError):
    """A value of a journal cannot be read; the message says why."""


@dataclass(frozen=True)
class Terms:
    """What must stay the same in all runs that write one table."""

    weights: dict[str, str]
    """`motion`, `camera` and `precision`."""
    labels: tuple[str, ...]
    """The camera labels, in the server's order."""
    parameters: dict[str, float]
    """The parameters of the command line, including the part of the video."""
    times: str | None = None
    """What the times of parts count from; None in journals from before this was a choice: they are timestamps."""


@dataclass(frozen=True)
class Position:
    """How far the output has been written."""

    row_id: int = 0
    """The last row in it."""
    size: int = 0
    """Its size in bytes including that row."""


def pack_row(row: Row) -> bytes:
    """A row as JSON, compressed to about a fifth."""
    return zlib.compress(json.dumps(row).encode(), level=1)


def unpack_row(record: object) -> Row:
    """The row of a record. Raises `Damaged`."""
    if not isinstance(record, bytes):
        raise Damaged("it has another type")
    try:
        text = zlib.decompress(record)
    except zlib.error as error:
        raise Damaged(f"it cannot be decompressed: {error}") from error
    row = _json(text)
    if not isinstance(row, dict) or not isinstance(row.get("video"), str):
        raise Damaged("it is not the row of a video")
    if not isinstance(row.get("parameters", {}), dict):
        raise Damaged("its parameters have another form")
    scores = {"motion": dict, "camera": list, "info": dict}
    scored = all(isinstance(row.get(name), kind) for name, kind in scores.items())
    if not (isinstance(row.get("error"), str) or scored):
        raise Damaged("it has neither scores nor an error")
    return row


def unpack_terms(text: object) -> Terms:
    """The terms in their JSON. Raises `Damaged`."""
    content = _json(text)
    try:
        weights, labels, parameters = content["weights"], content["labels"], content["parameters"]
        times = content.get("times")
        sound = (
            all(isinstance(value, str) for value in weights.values())
            and isinstance(labels, list)
            and all(isinstance(label, str) for label in labels)
            and all(isinstance(value, int | float) for value in parameters.values())
            and isinstance(times, str | None)
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged("they have another form") from error
    if not sound:
        raise Damaged("they have another form")
    return Terms(weights, tuple(labels), parameters, times)


def unpack_position(text: object) -> Position:
    """The position in its JSON. Raises `Damaged`."""
    content = _json(text)
    if not (isinstance(content, list) and len(content) == 2 and all(type(one) is int and one >= 0 for one in content)):
        raise Damaged("it is not two numbers")
    return Position(*content)


def _json(text: object) -> Any:
    if not isinstance(text, str | bytes):
        raise Damaged("it is not text")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is not JSON: {error}") from error
