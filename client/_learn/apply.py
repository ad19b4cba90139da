"""A learned filter over a whole table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .._tables.columns import is_failed
from .._tables.presets import Preset
from .._tables.quantities import values_of
from .._tables.table import Metadata, read_batches, table_schema
from .errors import LearnError
from .learned_filter import LearnedFilter
from .selection import Selection, Sources, select


def selection(
    table: Path,
    metadata: Metadata,
    learned: Path,
    presets: Mapping[str, Preset],
    *,
    at: float,
    top: int | None,
    one_per: str | None,
) -> Selection:
    """What the filter in the file `learned` says of each row of a table, beside presets that drop rows.

    `one_per` is a column of the table. Raises `LearnError` and `TableError`.
    """
    learned_filter = LearnedFilter.load(learned)
    learned_filter.check(table_schema(table, metadata), metadata, table)
    if one_per is not None and one_per not in (*metadata.schema().names, *metadata.kept):
        raise LearnError(f"{table} has no column {one_per!r} to keep one row of each value of")
    numbers = Sources()
    probabilities = [np.empty(0, np.float32)]
    eligible = [np.empty(0, np.bool_)]
    sources = [np.empty(0, np.int64)]
    for batch in read_batches(table, metadata):
        scores = values_of(batch, metadata, presets.values())
        failed = is_failed(batch, scores)
        dropped = np.logical_or.reduce([failed, *(preset.takes(scores) for preset in presets.values())])
        eligible.append(~dropped)
        probabilities.append(learned_filter.probabilities(batch, metadata))
        if one_per is not None:
            sources.append(numbers.numbers(batch.column(one_per)))
    return select(
        np.concatenate(probabilities),
        np.concatenate(eligible),
        np.concatenate(sources) if one_per is not None else None,
        at=at,
        top=top,
    )
