"""Items in groups for Ray: waves that are one dataset each, of blocks for one call of an actor."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from .._inputs.item import Item
from .._inputs.names import as_bytes
from .._remote.addresses import is_remote

WAVE_VIDEOS = 100_000
"""Videos of a wave: what the driver holds of the list at once."""
WAVE_BYTES = 1 << 30
"""A wave has no more of encoded files, but for one."""
BLOCK_VIDEOS = 64
BLOCK_BYTES = 64 << 20
SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("path", pa.large_binary()),
        pa.field("content", pa.large_binary()),
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
    ]
)
"""The columns of a block of items."""
_Row = tuple[int, bytes, bytes | None, float | None, float | None]


@dataclass(frozen=True)
class Wave:
    """Items that go to Ray together."""

    items: dict[int, Item]
    """The items by number."""
    blocks: list[pa.Table]
    """The same as blocks."""


def waves(items: Iterable[Item], videos: int = WAVE_VIDEOS, size: int = WAVE_BYTES) -> Iterator[Wave]:
    """The items in waves; they are read as needed, and the bytes that items hold are taken from them."""
    numbered: dict[int, Item] = {}
    blocks: list[pa.Table] = []
    rows: list[_Row] = []
    wave_bytes = block_bytes = 0
    for number, item in enumerate(items):
        content = None if item.content is None else item.content.take()
        numbered[number] = item
        path = item.path if is_remote(item.path) else os.path.abspath(item.path)
        rows.append((number, as_bytes(path), content, item.start_seconds, item.end_seconds))
        block_bytes += len(content or b"")
        if len(rows) == BLOCK_VIDEOS or block_bytes >= BLOCK_BYTES:
            blocks.append(_table(rows))
            wave_bytes += block_bytes
            rows, block_bytes = [], 0
        if len(numbered) == videos or wave_bytes + block_bytes >= size:
            yield Wave(numbered, blocks + _last(rows))
            numbered, blocks, rows, wave_bytes, block_bytes = {}, [], [], 0, 0
    if numbered:
        yield Wave(numbered, blocks + _last(rows))


def _last(rows: list[_Row]) -> list[pa.Table]:
    """The block that is not full, if there is one."""
    return [_table(rows)] if rows else []


def _table(rows: list[_Row]) -> pa.Table:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
