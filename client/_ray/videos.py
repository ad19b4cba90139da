"""Which videos a block of a dataset has: a column of paths, of encoded files, or of structs with both."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from .._inputs.item import Item

PART = ("start_seconds", "end_seconds")
"""The columns that select a part of a video."""
PATH = "path"
"""The column with the name of an encoded file, unless another one is given."""


@dataclass(frozen=True)
class Named:
    """A video of a block."""

    item: Item
    """Its name in the table, and the part of it."""
    video: str | bytes | None
    """Its path or the encoded file; None if the row has neither."""


def videos_of(block: pa.Table, column: str, name: str | None) -> list[Named]:
    """The videos of a block, in its order.

    column: holds paths (text), encoded files (binary), or structs with `bytes` and `path`. name: the column with the
    names of encoded files; None: `path` of the structs or of the block, else a digest of the file.
    Raises ValueError if a column is missing, and TypeError if one has another type.
    """
    paths, files = _content(_present(block, column), column)
    if name is not None or (paths is None and column != PATH and PATH in block.column_names):
        names = _texts(_present(block, name or PATH), name or PATH)
    else:
        names = paths or [None] * block.num_rows
    starts, ends = ([None] * block.num_rows if one not in block.column_names else _numbers(block, one) for one in PART)
    found = []
    for path, data, named, start, end in zip(
        paths or [None] * block.num_rows, files or [None] * block.num_rows, names, starts, ends, strict=True
    ):
        video = data if data is not None else path
        found.append(Named(Item(named or _digest(video), start, end), video))
    return found


def _present(block: pa.Table, column: str) -> pa.ChunkedArray:
    if column not in block.column_names:
        raise ValueError(f"the dataset has no column {column!r}; it has {', '.join(block.column_names)}")
    return block.column(column)


def _content(array: pa.ChunkedArray, column: str) -> tuple[list[str | None] | None, list[bytes | None] | None]:
    """Paths and encoded files of a column; None for what it does not hold."""
    kind = array.type
    if _is_bytes(kind):
        return None, array.to_pylist()
    if pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if "bytes" in fields and _is_bytes(fields["bytes"]):
            values = array.to_pylist()
            files = [None if value is None else value["bytes"] for value in values]
            paths = [None if value is None else value.get("path") for value in values] if "path" in fields else None
            return paths, files
    return _texts(array, column), None


def _texts(array: pa.ChunkedArray, column: str) -> list[str | None]:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise TypeError(f"the column {column!r} has type {array.type}, not names or encoded files")
    values: list[str | None] = array.to_pylist()
    return values


def _numbers(block: pa.Table, column: str) -> Sequence[float | None]:
    kind = block.column(column).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise TypeError(f"the column {column!r} has type {kind}, not seconds")
    return [None if value is None or value != value else float(value) for value in block.column(column).to_pylist()]


def _is_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _digest(video: str | bytes | None) -> str:
    if video is None:
        return ""
    data = video if isinstance(video, bytes) else os.fsencode(video)
    return f"blake2b:{blake2b(data, digest_size=16).hexdigest()}"
