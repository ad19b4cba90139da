"""Rows as an Arrow table with the columns of a table of scores: every block of a dataset has the same ones."""

from collections.abc import Sequence

import pyarrow as pa

from .._runs.signal_options import SignalOptions
from .._runs.table_run import served
from .._sdk.result import Weights
from .._tables.records import Terms
from .._tables.row import EMBEDDING_COLUMNS, Row
from .._tables.signal_columns import array_of, embeddings_type, signal_fields
from .._tables.table import Metadata, as_batch


class Columns:
    """The columns of a run, and its metadata."""

    def __init__(self, weights: Weights, parameters: dict[str, float], signals: SignalOptions | None) -> None:
        """weights: what the servers serve; parameters: those of all requests; signals: settled."""
        self.served = served(weights, signals)
        """The weights that every answer must come from."""
        named = None if signals is None else signals.asked.signals
        heads = None if signals is None else signals.heads
        embeddings = signals.embeddings if signals is not None and signals.has_embeddings else None
        terms = Terms(self.served, weights.labels, parameters, None, named, heads, embeddings)
        self._metadata = Metadata(terms.weights, terms.labels, parameters, named)
        # Lists of any width: a block in which every video failed does not know it.
        self._fields = signal_fields(terms, None)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [*self._metadata.schema().names, *(field.name for field in self._fields)]

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """The rows of a block."""
        base = as_batch([*rows], self._metadata)
        schema = pa.schema([*base.schema, *self._fields], base.schema.metadata)
        columns = [*base.columns, *(_column(rows, field) for field in self._fields)]
        return pa.Table.from_arrays(columns, schema=schema)


def _column(rows: Sequence[Row], field: pa.Field) -> pa.Array:
    if field.name not in EMBEDDING_COLUMNS.values():
        return array_of(rows, field)
    first = next((row[field.name] for row in rows if field.name in row), None)
    if first is None:
        return pa.nulls(len(rows), field.type)
    fixed = pa.field(field.name, embeddings_type(first.shape[1], first.dtype.name))
    return array_of(rows, fixed).cast(field.type)
