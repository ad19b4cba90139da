"""What a search writes: the rows that it found as a table, or every row with its topic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from .._tables.replace import replacing
from .._tables.rows_at import rows_at
from .._tables.table import Metadata, read_batches, table_schema
from .frames import check_dimensions, rows_of
from .hits import Hit, topics_of

FOUND = (
    pa.field("similarity", pa.float32()),
    pa.field("similarity_mean", pa.float32()),
    pa.field("best_seconds", pa.float32()),
)
"""The columns of hits."""
TOPIC = (pa.field("topic", pa.string()), pa.field("topic_similarity", pa.float32()))
"""Those of labels."""


def write_hits(path: Path, metadata: Metadata, hits: Sequence[Hit], output: Path, *, topics: bool) -> None:
    """Write the rows of `hits`, best first, with what was found. Raises `TableError`, OSError."""
    table = rows_at(path, metadata, [hit.row for hit in hits], signals=True)
    for field in (*FOUND, *(TOPIC if topics else ())):
        values = [getattr(hit, field.name) for hit in hits]
        table = _with_column(table, field, pa.array(values, field.type))
    with replacing(output) as partial:
        parquet.write_table(table, partial, compression="zstd", row_group_size=4096)


def write_topics(
    path: Path, metadata: Metadata, labels: Sequence[str], queries: NDArray[np.float32], output: Path
) -> dict[str, int]:
    """Write every row with its topic, null for rows without embeddings; the number of rows for each label.

    queries: (labels, dimensions) of unit length. Raises `TableError`, `SearchError`, OSError.
    """
    counts = dict.fromkeys(labels, 0)
    names = [field.name for field in TOPIC]
    schema = table_schema(path, metadata)
    kept = [field for field in schema if field.name not in names]
    schema = pa.schema([*kept, *TOPIC], schema.metadata)
    with replacing(output) as partial, parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        for batch in read_batches(path, metadata):
            found: list[tuple[str | None, float | None]] = [(None, None)] * batch.num_rows
            if (rows := rows_of(batch)) is not None:
                check_dimensions(path, rows, queries.shape[1])
                for row, topic in zip(rows.rows, topics_of(rows, labels, queries), strict=True):
                    found[row] = topic
                    counts[topic[0]] += 1
            columns = [pa.array([each[index] for each in found], field.type) for index, field in enumerate(TOPIC)]
            arrays = [*(batch.column(field.name) for field in kept), *columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return counts


def _with_column(table: pa.Table, field: pa.Field, values: pa.Array) -> pa.Table:
    if field.name in table.column_names:
        return table.set_column(table.column_names.index(field.name), field, values)
    return table.append_column(field, values)
