"""What a journal holds of each video and of the run, as bytes and text; what is damaged is found when it is read."""

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .row import KEPT_KEY, SKIPPED_BY, Row, is_signal_column


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
    signals: tuple[str, ...] | None = None
    """The signals; None for motion and camera, without any being named."""
    heads: tuple[str, ...] | None = None
    """The heads, if there are `signals`."""
    embeddings: str | None = None
    """The type of embeddings, if there are any: `float32` or `float16`."""
    kept: tuple[str, ...] | None = None
    """The columns of manifests that go into the table; None for none."""
    phrases: bool | None = None
    """Whether rows have phrases; None for no."""
    dedupe: bool | None = None
    """Whether videos of the same bytes are scored once; None for no."""
    first_pass: dict[str, float] | None = None
    """The thresholds of a first pass, or `measure` for one that skips nothing; None for none."""


@dataclass(frozen=True)
class Position:
    """How far the output has been written."""

    row_id: int = 0
    """The last row in it."""
    size: int = 0
    """Its size in bytes including that row."""


_ARRAY = "array"
_TYPES = ("<f2", "<f4")
_CHECKSUM_BYTES = 4


def pack_row(row: Row) -> bytes:
    """A row as JSON, compressed to about a fifth; then the bytes of its arrays, which hardly compress, and a CRC-32.

    The JSON has the type and the shape of each array in its place.
    """
    content, arrays = {}, []
    for name, value in row.items():
        if isinstance(value, np.ndarray):
            little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            content[name] = {_ARRAY: [little.dtype.str, *little.shape]}
            arrays.append(little.tobytes())
        else:
            content[name] = value
    record = zlib.compress(json.dumps(content).encode(), level=1)
    if not arrays:
        return record
    joined = b"".join(arrays)
    return b"".join((record, joined, zlib.crc32(joined).to_bytes(_CHECKSUM_BYTES, "little")))


def unpack_row(record: object) -> Row:
    """The row of a record. Raises `Damaged`."""
    if not isinstance(record, bytes):
        raise Damaged("it has another type")
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(record)
    except zlib.error as error:
        raise Damaged(f"it cannot be decompressed: {error}") from error
    if not decompressor.eof:
        raise Damaged("it cannot be decompressed: it is cut off")
    row = _json(text)
    if not isinstance(row, dict) or not isinstance(row.get("video"), str):
        raise Damaged("it is not the row of a video")
    if not isinstance(row.get("parameters", {}), dict):
        raise Damaged("its parameters have another form")
    kept = row.get(KEPT_KEY, {})
    if not (isinstance(kept, dict) and all(isinstance(value, str | None) for value in kept.values())):
        raise Damaged("what it keeps of a manifest has another form")
    kinds = {"motion": dict, "camera": list}
    scored = (
        isinstance(row.get("info"), dict)
        and all(isinstance(row[name], kind) for name, kind in kinds.items() if name in row)
        and any(name in kinds or is_signal_column(name) for name in row)
    )
    if not (isinstance(row.get("error"), str) or isinstance(row.get(SKIPPED_BY), str) or scored):
        raise Damaged("it has neither scores nor an error")
    return _with_arrays(row, decompressor.unused_data)


def _with_arrays(row: Row, data: bytes) -> Row:
    """The row with its arrays, from the bytes after the JSON."""
    headers = {
        name: value[_ARRAY]
        for name, value in row.items()
        if isinstance(value, dict) and is_signal_column(name) and _ARRAY in value and isinstance(value[_ARRAY], list)
    }
    if not headers:
        if data:
            raise Damaged("there is something behind it")
        return row
    content = memoryview(data)[:-_CHECKSUM_BYTES]
    if zlib.crc32(content) != int.from_bytes(data[-_CHECKSUM_BYTES:], "little"):
        raise Damaged("its embeddings have another checksum")
    start = 0
    for name, header in headers.items():
        kind, *shape = header
        if kind not in _TYPES or not all(type(size) is int and size >= 0 for size in shape):
            raise Damaged("its embeddings have another form")
        count = math.prod(shape)
        end = start + count * np.dtype(kind).itemsize
        if end > len(content):
            raise Damaged("its embeddings are cut off")
        row[name] = np.frombuffer(content, kind, count, start).reshape(shape)
        start = end
    if start != len(content):
        raise Damaged("its embeddings have another size")
    return row


def unpack_terms(text: object) -> Terms:
    """The terms in their JSON. Raises `Damaged`."""
    content = _json(text)
    try:
        weights, labels, parameters = content["weights"], content["labels"], content["parameters"]
        times, embeddings = content.get("times"), content.get("embeddings")
        signals, heads, kept = (content.get(name) for name in ("signals", "heads", "kept"))
        phrases, dedupe, first_pass = (content.get(name) for name in ("phrases", "dedupe", "first_pass"))
        sound = (
            all(isinstance(value, str) for value in weights.values())
            and _are_texts(labels)
            and all(isinstance(value, int | float) for value in parameters.values())
            and isinstance(times, str | None)
            and isinstance(embeddings, str | None)
            and isinstance(phrases, bool | None)
            and isinstance(dedupe, bool | None)
            and all(isinstance(value, int | float) for value in (first_pass or {}).values())
            and all(names is None or _are_texts(names) for names in (signals, heads, kept))
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged("they have another form") from error
    if not sound:
        raise Damaged("they have another form")
    return Terms(
        weights,
        tuple(labels),
        parameters,
        times,
        None if signals is None else tuple(signals),
        None if heads is None else tuple(heads),
        embeddings,
        None if kept is None else tuple(kept),
        phrases,
        dedupe,
        first_pass,
    )


def unpack_position(text: object) -> Position:
    """The position in its JSON. Raises `Damaged`."""
    content = _json(text)
    if not (isinstance(content, list) and len(content) == 2 and all(type(one) is int and one >= 0 for one in content)):
        raise Damaged("it is not two numbers")
    return Position(*content)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _json(text: object) -> Any:
    if not isinstance(text, str | bytes):
        raise Damaged("it is not text")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is not JSON: {error}") from error
