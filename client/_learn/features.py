"""What a filter learns from: every numeric column of a table, and how probable each camera label is."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._tables.quantities import LABEL_PREFIX
from .._tables.row import PART_COLUMNS
from .._tables.table import Metadata


def feature_names(schema: pa.Schema, metadata: Metadata) -> list[str]:
    """The features of a table's rows: its columns of numbers but for request parameters, then the labels."""
    columns = [
        field.name
        for field in schema
        if (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)) and field.name not in PART_COLUMNS
    ]
    return columns + [LABEL_PREFIX + label for label in metadata.labels]


def features_of(batch: pa.RecordBatch, metadata: Metadata, names: Sequence[str]) -> NDArray[np.float32]:
    """(rows, features) float32 in the order of `names`; NaN where a row has no value."""
    values = np.full((batch.num_rows, len(names)), np.nan, np.float32)
    labels = _label_means(batch, len(metadata.labels))
    indices = {LABEL_PREFIX + label: index for index, label in enumerate(metadata.labels)}
    for column, name in enumerate(names):
        if name in batch.schema.names:
            values[:, column] = batch.column(name).to_numpy(zero_copy_only=False)
        elif name in indices:
            values[:, column] = labels[:, indices[name]]
    return values


def _label_means(batch: pa.RecordBatch, labels: int) -> NDArray[np.float32]:
    """(rows, labels) float32 mean probability over the clips of each row; NaN for a row without clips."""
    clips = batch.column("clips")
    counts = np.asarray(clips.value_lengths().fill_null(0), np.int64)
    means = np.full((batch.num_rows, labels), np.nan, np.float32)
    flat = clips.flatten()
    if not len(flat) or not labels:
        return means
    probabilities = np.asarray(flat.field("probabilities").flatten(), np.float32).reshape(len(flat), labels)
    filled = counts > 0
    starts = (np.cumsum(counts) - counts)[filled]
    means[filled] = np.add.reduceat(probabilities, starts, axis=0) / counts[filled, None]
    return means
