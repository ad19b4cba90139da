"""Which videos to ask about: those that were answered, and a random sample of the others."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._learn.answers import Part
from .._learn.collect import parts_of
from .._learn.features import feature_names, features_of
from .._report.previews import Segment, segment_of
from .._tables.columns import is_failed, scores_of
from .._tables.found import place_of
from .._tables.presets import COLUMNS
from .._tables.row import INFO_COLUMNS
from .._tables.table import Metadata, read_batches, table_schema


@dataclass(frozen=True)
class Pool:
    """Rows of a table, in random order but for the answered ones, which come first."""

    parts: list[Part]
    """What each row is about."""
    segments: list[Segment | None]
    """What to show of each; None if the file was not found."""
    features: NDArray[np.float32]
    """(rows, features) with mean 0 in the pool; 0 where a row has no value.

    They are the scores, the measures if the table has any, and the camera labels. The squares of each of these groups
    have the same sum, so that three scores count as much as twenty labels. How long or large a video is does not count.
    """
    not_sampled: int
    """Scored rows that are not in the pool."""


def pool_of(table: Path, metadata: Metadata, answered: Collection[Part], count: int, seed: int) -> Pool:
    """At most `count` rows that were not answered, each equally probable, and all that were. Raises `TableError`."""
    random = np.random.default_rng(seed)
    schema = table_schema(table, metadata)
    names = [name for name in feature_names(schema, metadata) if name not in INFO_COLUMNS]
    columns = list(dict.fromkeys([*metadata.schema().names, *(name for name in names if name in schema.names)]))
    known: list[_Row] = []
    sample: list[_Row] = []
    seen: set[Part] = set()
    others = 0
    for batch in read_batches(table, metadata, columns=columns):
        parts = parts_of(batch)
        failed = is_failed(batch, scores_of(batch))
        features = features_of(batch, metadata, names)
        for index, part in enumerate(parts):
            if failed[index] or part in seen:
                continue
            if part in answered:
                seen.add(part)
                known.append(_Row(part, batch.slice(index, 1).to_pylist()[0], features[index]))
                continue
            # Reservoir sampling: row number n replaces one of the sample with probability count / n.
            others += 1
            place = others - 1 if len(sample) < count else int(random.integers(0, others))
            if place >= count:
                continue
            row = _Row(part, batch.slice(index, 1).to_pylist()[0], features[index])
            if place < len(sample):
                sample[place] = row
            else:
                sample.append(row)
    order = random.permutation(len(sample))
    rows = [*known, *(sample[index] for index in order)]
    places = {row.part[0]: place_of(row.part[0], table) for row in rows}
    return Pool(
        [row.part for row in rows],
        [segment_of(row.content, places[row.part[0]]) for row in rows],
        _standardized(
            np.array([row.features for row in rows], np.float32).reshape(len(rows), len(names)),
            _groups(names, metadata),
        ),
        others - len(sample),
    )


@dataclass(frozen=True)
class _Row:
    part: Part
    content: dict[str, Any]
    features: NDArray[np.float32]


def _groups(names: list[str], metadata: Metadata) -> NDArray[np.int64]:
    """(features,) which group each feature is of: 0 scores, 1 measures, 2 labels, which come last."""
    first_label = len(names) - len(metadata.labels)
    scores = tuple(COLUMNS.values())
    return np.array([2 if index >= first_label else int(name not in scores) for index, name in enumerate(names)])


def _standardized(features: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """(rows, used) with a standard deviation of 1 for the scores, and as much for each other group together."""
    if not len(features):
        return features
    known = ~np.isnan(features)
    counts = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, features, 0).sum(axis=0) / counts
    centred = np.where(known, features - means, 0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    used = spread > 1e-6
    sizes = np.bincount(groups[used], minlength=3)
    weights = np.sqrt(len(COLUMNS) / np.maximum(sizes, 1))[groups[used]]
    return (centred[:, used] / spread[used] * weights).astype(np.float32)
