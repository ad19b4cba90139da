"""The features of the videos that were answered, from a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._counted import counted
from .._tables.columns import is_failed, scores_of
from .._tables.presets import PRESETS
from .._tables.table import Metadata, read_batches, table_schema
from .answers import Part
from .errors import LearnError
from .features import feature_names, features_of


@dataclass(frozen=True)
class Examples:
    """The answered rows of a table that have scores."""

    features: NDArray[np.float32]
    """(answers, features), without the columns that are empty in every row."""
    keep: NDArray[np.bool_]
    """(answers,) the answers."""
    names: list[str]
    """The features."""
    kept_by_presets: dict[str, NDArray[np.bool_]]
    """(answers,) for each preset, and for `all presets` together, what it does not drop."""
    not_found: int
    """Answers about no scored row of the table."""


def collect(table: Path, metadata: Metadata, answers: dict[Part, bool]) -> Examples:
    """Read the table once. Raises `TableError`, and `LearnError` if no answer is about a scored row."""
    names = feature_names(table_schema(table, metadata), metadata)
    features: list[NDArray[np.float32]] = [np.empty((0, len(names)), np.float32)]
    found: list[Part] = []
    videos = {part[0] for part in answers}
    has_videos = False
    kept: dict[str, list[NDArray[np.bool_]]] = {name: [np.empty(0, np.bool_)] for name in PRESETS}
    for batch in read_batches(table, metadata):
        scores = scores_of(batch)
        parts = parts_of(batch)
        wanted = np.array([part in answers for part in parts], np.bool_) & ~is_failed(batch, scores)
        has_videos |= any(part[0] in videos for part in parts)
        if not wanted.any():
            continue
        features.append(features_of(batch, metadata, names)[wanted])
        found += [part for part, is_wanted in zip(parts, wanted, strict=True) if is_wanted]
        for name, preset in PRESETS.items():
            kept[name].append(~preset.takes({score: values[wanted] for score, values in scores.items()}))
    if answers and not found:
        why = ": their videos are there, with other parts or without scores" if has_videos else ""
        raise LearnError(f"{counted(len(answers), 'answer')}, none about a scored row of {table}{why}")
    rows = np.concatenate(features)
    presets = {name: np.concatenate(masks) for name, masks in kept.items()}
    presets["all presets"] = np.logical_and.reduce(list(presets.values()))
    used = ~np.isnan(rows).all(axis=0) if len(rows) else np.ones(len(names), np.bool_)
    keep = np.array([answers[part] for part in found], np.bool_)
    used_names = [name for name, is_used in zip(names, used, strict=True) if is_used]
    return Examples(rows[:, used], keep, used_names, presets, len(answers) - len(set(found)))


def parts_of(batch: pa.RecordBatch) -> list[Part]:
    """The part that each row of a batch is about."""
    columns = (batch.column(name).to_pylist() for name in ("video", "start_seconds", "end_seconds"))
    return list(zip(*columns, strict=True))
