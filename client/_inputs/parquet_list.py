"""Manifests in Parquet: a column of names, or of encoded files as Hugging Face stores them."""

import os
from collections.abc import Iterator
from typing import Any

from .._optional import missing
from .choices import COLUMNS
from .errors import InputError
from .item import Item
from .listing import Listing
from .names import shown

_NAMES_AT_ONCE = 1024
_FILES_AT_ONCE = 1  # a file may have gigabytes
_BUFFER_BYTES = 2**20  # without it, pyarrow reads a column of many rows at once; with `pre_buffer`, the whole file


def parquet_items(path: str, listing: Listing) -> Iterator[Item]:
    """The rows of a Parquet file. Raises `InputError` if it is none, or no column names videos or holds them."""
    if sentence := missing("Parquet", "pyarrow"):
        raise InputError(f"{listing.shown}: {sentence}")
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            schema = file.schema_arrow
            holding = [name for name in schema.names if _holds_files(schema.field(name).type)]
            listing = listing.settled(
                "Parquet", schema.names, _columns_shown(schema), by=f"in {holding[0]!r}" if holding else ""
            )
            choices = listing.choices
            if listing.holds_files:
                column: str | None = _holding_column(schema, listing, holding)
            else:
                column = None if choices.template else _column(schema, listing, holding)
            holds_files = column is not None and _holds_files(schema.field(column).type)
            wanted = {*schema.names} - {*holding} if choices.whole_rows else choices.used
            further = [name for name in schema.names if name in wanted and name != column]
            number = 0
            for batch in file.iter_batches(
                _FILES_AT_ONCE if holds_files else _NAMES_AT_ONCE, columns=[*([column] if column else []), *further]
            ):
                columns = [_values(batch.column(name)) for name in further]
                rows = [dict(zip(further, row, strict=True)) for row in zip(*columns, strict=True)] or [{}] * len(batch)
                if column is None:
                    names: list[Any] = [None] * len(rows)
                    files = names
                else:
                    names, files = _names_and_files(batch.column(column))
                for name, data, row in zip(names, files, rows, strict=True):
                    number += 1
                    values = row if column is None else choices.values({column: name, **row})
                    if data is not None:
                        yield listing.content(data, name, number, values)
                    elif item := listing.row(row, number) if column is None else listing.named(name, values, number):
                        yield item
    except ArrowException as error:
        raise InputError(f"{listing.shown}: cannot read the manifest: {error}") from error


def _column(schema: Any, listing: Listing, holding: list[str]) -> str:
    """The column that was chosen, else one that holds files, else the first of `COLUMNS` that names them."""
    chosen = listing.choices.columns.get("path")
    names = [name for name in ((chosen,) if chosen else COLUMNS) if name in schema.names]
    for name in names:
        if name in holding:
            return name
    for name in names:
        if _is_text(schema.field(name).type) or _has_path(schema.field(name).type):
            return name
    structs = [name for name in holding if _has_path(schema.field(name).type)]
    if len(structs) == 1:
        return structs[0]
    if names:
        held = schema.field(names[0]).type
        raise InputError(
            f"{listing.shown}: the column {names[0]!r} of the manifest has type {shown(str(held), 80)}, "
            "not names or encoded files"
        )
    raise InputError(f"{listing.shown}: the manifest has no column 'path' or 'video'; {_columns_shown(schema)}")


def _holding_column(schema: Any, listing: Listing, holding: list[str]) -> str:
    """The column that holds files: the one that was chosen, else the first of `COLUMNS`, else the only one."""
    chosen = listing.choices.columns.get("path")
    names = [name for name in ((chosen,) if chosen else COLUMNS) if name in holding]
    if names or (len(holding) == 1 and not chosen):
        return (names or holding)[0]
    if holding and not chosen:
        several = shown(" and ".join(map(repr, holding)), 80)
        raise InputError(f"{listing.shown}: {several} hold files: name the one with the videos, --columns path=NAME")
    which = f"the column {chosen!r} holds no" if chosen else "no column holds"
    kinds = "as bytes or structs with bytes and path"
    raise InputError(f"{listing.shown}: {which} files, {kinds}; {_columns_shown(schema)}")


def _columns_shown(schema: Any) -> str:
    return f"it has {shown(', '.join(schema.names), 80)}"


def _values(array: Any) -> list[Any]:
    """(rows,) the values of a column that names no file."""
    return _texts(array) if _is_text(array.type) else array.to_pylist()


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _fields(kind: Any) -> dict[str, Any]:
    """Types of the fields of a struct; none for another type."""
    from pyarrow import types

    return {field.name: field.type for field in kind} if types.is_struct(kind) else {}


def _has_path(kind: Any) -> bool:
    return _is_text(_fields(kind)["path"]) if "path" in _fields(kind) else False


def _holds_files(kind: Any) -> bool:
    """Whether a column of this type holds encoded files: bytes, or a struct with a field of `bytes`."""
    return _is_bytes(_fields(kind).get("bytes", kind))


def _names_and_files(array: Any) -> tuple[list[str | None], list[bytes | None]]:
    """(rows,) each: the name and the encoded file of each row, None where it has none."""
    nothing: list[Any] = [None] * len(array)
    if _is_bytes(array.type):
        return nothing, array.to_pylist()
    if not _fields(array.type):
        return _texts(array), nothing
    fields = dict(zip(_fields(array.type), array.flatten(), strict=True))
    names = _texts(fields["path"]) if _has_path(array.type) else nothing
    return names, fields["bytes"].to_pylist() if _holds_files(array.type) else nothing


def _texts(array: Any) -> list[str | None]:
    """Text as names of files, also where it is not UTF-8."""
    import pyarrow as pa

    encoded = array.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    return [None if name is None else os.fsdecode(name) for name in encoded]
