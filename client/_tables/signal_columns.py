"""The columns beside motion and camera: embeddings, actions, measures, what heads say, and phrases, as Arrow arrays.

Embeddings are lists of fixed-size lists, built from numpy arrays: Python numbers would take ten times the memory.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._sdk.metrics import WHOLE
from .records import Terms
from .row import (
    ACTIONS_COLUMN,
    DUPLICATE_COLUMN,
    EMBEDDING_COLUMNS,
    FIRST_PASS_COLUMNS,
    HEAD_COLUMN,
    METRIC_COLUMNS,
    METRICS,
    PHRASE_COLUMNS,
    SECONDS_COLUMN,
    TEXT_COLUMNS,
    Row,
    is_signal_column,
    metric_values,
)

RANKED = pa.list_(pa.struct([pa.field("label", pa.string()), pa.field("probability", pa.float32())]))
"""Labels with their probabilities, most probable first."""
ACTIONS = pa.struct(
    [
        pa.field("video", RANKED),
        pa.field(
            "clips",
            pa.list_(
                pa.struct(
                    [
                        pa.field("start_seconds", pa.float32()),
                        pa.field("end_seconds", pa.float32()),
                        pa.field("actions", RANKED),
                    ]
                )
            ),
        ),
    ]
)
PHRASES = tuple(pa.field(name, pa.string()) for name in PHRASE_COLUMNS)
FIRST_PASS = tuple(pa.field(name, pa.float32()) for name in FIRST_PASS_COLUMNS)
_EMBEDDINGS = tuple(EMBEDDING_COLUMNS.values())


def embeddings_type(width: int | None, dtype: str = "float32") -> pa.DataType:
    """Lists of lists of `width` floats; of any width if it is None."""
    number = pa.from_numpy_dtype(np.dtype(dtype))
    return pa.list_(pa.list_(number) if width is None else pa.list_(number, width))


def signal_fields(terms: Terms, scored: Row | None) -> list[pa.Field]:
    """The columns of a run with these terms; `scored` is one of its rows, None if it has scored nothing."""
    signals = terms.signals or ()
    fields = []
    for signal, column in EMBEDDING_COLUMNS.items():
        if signal in signals:
            width = None if scored is None else int(scored[column].shape[1])
            fields.append(pa.field(column, embeddings_type(width, terms.embeddings or "float32")))
    if "frames" in signals:
        fields.append(pa.field(SECONDS_COLUMN, pa.list_(pa.float32())))
    if "actions" in signals:
        fields.append(pa.field(ACTIONS_COLUMN, ACTIONS))
    if METRICS in signals:
        fields += metric_fields()
    fields += [pa.field(HEAD_COLUMN + name, RANKED) for name in terms.heads or ()]
    fields += PHRASES if terms.phrases else ()
    fields += [pa.field(DUPLICATE_COLUMN, pa.string())] if terms.dedupe else []
    return [*fields, *FIRST_PASS] if terms.first_pass is not None else fields


def metric_fields() -> list[pa.Field]:
    """A column for each measure."""
    return [pa.field(column, pa.int32() if name in WHOLE else pa.float32()) for column, name in METRIC_COLUMNS.items()]


def fields_of_row(row: Row) -> list[pa.Field]:
    """The columns of a table of text that has this scored row; embeddings in it are lists."""
    fields = []
    for name in filter(is_signal_column, row):
        if name in _EMBEDDINGS:
            fields.append(pa.field(name, embeddings_type(len(row[name][0]))))
        elif name == SECONDS_COLUMN:
            fields.append(pa.field(name, pa.list_(pa.float32())))
        elif name == METRICS:
            fields += metric_fields()
        elif name in TEXT_COLUMNS:
            fields.append(pa.field(name, pa.string()))
        elif name in FIRST_PASS_COLUMNS:
            fields.append(pa.field(name, pa.float32()))
        else:
            fields.append(pa.field(name, ACTIONS if name == ACTIONS_COLUMN else RANKED))
    return fields


def array_of(rows: Sequence[Row], field: pa.Field) -> pa.Array:
    """The column of these rows. Raises ValueError, KeyError or TypeError if a row does not fit."""
    if field.name in _EMBEDDINGS:
        return _embeddings(rows, field)
    if field.name in METRIC_COLUMNS:
        return pa.array([metric_values(row)[field.name] for row in rows], field.type)
    values = [row.get(field.name) for row in rows]
    if field.name == SECONDS_COLUMN:
        return pa.array([None if value is None else np.asarray(value, np.float32) for value in values], field.type)
    if field.name not in (ACTIONS_COLUMN, *TEXT_COLUMNS, *FIRST_PASS_COLUMNS):
        values = [None if value is None else ranked(value) for value in values]
    return pa.array(values, field.type)


def ranked(probabilities: Mapping[str, float]) -> list[dict[str, Any]]:
    """Labels with their probabilities as objects, most probable first."""
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])
    return [{"label": label, "probability": probability} for label, probability in ordered]


def _embeddings(rows: Sequence[Row], field: pa.Field) -> pa.Array:
    inner = field.type.value_type
    dtype = np.dtype(inner.value_type.to_pandas_dtype())
    matrices: list[NDArray[Any] | None] = []
    for row in rows:
        matrix = None if row.get(field.name) is None else np.asarray(row[field.name], dtype)
        if matrix is not None and (matrix.ndim != 2 or matrix.shape[1] != inner.list_size):
            width = matrix.shape[-1] if matrix.ndim else 0
            raise ValueError(f"{row['video']!r} has embeddings of {width} values, others have {inner.list_size}")
        matrices.append(matrix)
    counts = [0 if matrix is None else len(matrix) for matrix in matrices]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    present = [matrix.reshape(-1) for matrix in matrices if matrix is not None]
    flat = pa.array(np.concatenate(present) if present else np.empty(0, dtype))
    if pa.types.is_fixed_size_list(inner):
        values = pa.FixedSizeListArray.from_arrays(flat, inner.list_size)
    else:  # only while no video of a run was scored
        values = pa.nulls(0, inner)
    missing = pa.array([matrix is None for matrix in matrices])
    return pa.ListArray.from_arrays(offsets, values, type=field.type, mask=missing)
