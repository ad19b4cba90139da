"""Rows of a table by their numbers, without reading all of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from .table import Metadata, parquet_batches, read_batches, table_schema


def rows_at(path: Path, metadata: Metadata, numbers: Sequence[int], *, signals: bool) -> pa.Table:
    """These rows of a table, in the order of `numbers`, which has none twice. Raises `TableError`.

    signals: whether with the columns of signals beside motion and camera. Of a Parquet file, only the row groups with
    one of the rows are read.
    """
    schema = table_schema(path, metadata, signals=signals)
    wanted = np.asarray(numbers, np.int64)
    ordered = np.sort(wanted)
    found: list[pa.RecordBatch] = []
    for first, batch in _batches(path, metadata, schema, ordered, signals=signals):
        inside = ordered[(ordered >= first) & (ordered < first + batch.num_rows)] - first
        if len(inside):
            found.append(batch.take(pa.array(inside)))
    place = np.argsort(np.argsort(wanted))
    return pa.Table.from_batches(found, schema).take(pa.array(place))


def _batches(
    path: Path, metadata: Metadata, schema: pa.Schema, ordered: NDArray[np.int64], *, signals: bool
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the table with the number of their first row."""
    if path.suffix.lower() != ".parquet":
        first = 0
        for batch in read_batches(path, metadata, signals=signals):
            yield first, batch
            first += batch.num_rows
        return
    groups = parquet.read_metadata(path)
    start = 0
    for number in range(groups.num_row_groups):
        end = start + groups.row_group(number).num_rows
        if np.searchsorted(ordered, start) < np.searchsorted(ordered, end):
            first = start
            for batch in parquet_batches(path, schema, [number]):
                yield first, batch
                first += batch.num_rows
        start = end
