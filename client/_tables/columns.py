"""Columns of a table as numpy arrays."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .how_to_add import how_to_add
from .presets import COLUMNS
from .row import SKIPPED_BY
from .table import Metadata, TableError


def scores_of(batch: pa.RecordBatch) -> dict[str, NDArray[np.float32]]:
    """(rows,) float32 of each score by its short name; NaN for rows without a score."""
    return {
        name: batch.column(column).to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        for name, column in COLUMNS.items()
    }


def is_failed(batch: pa.RecordBatch, scores: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """(rows,) bool: which rows have an error or lack one of the three scores, as those that a first pass skipped."""
    errors = batch.column("error").is_valid().to_numpy(zero_copy_only=False)
    return np.logical_or.reduce([errors, *(~np.isfinite(scores[name]) for name in COLUMNS)])


def is_skipped(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """(rows,) bool: which rows a first pass skipped; they have no scores, and did not fail."""
    return np.asarray(batch.column(SKIPPED_BY).is_valid().to_numpy(zero_copy_only=False), np.bool_)


def from_stand_ins(metadata: Metadata) -> bool:
    """Whether any of the weights are random, so that the scores mean nothing."""
    return any(metadata.weights.get(network, "").startswith("random") for network in ("motion", "camera"))


def check_motion(path: Path, metadata: Metadata) -> None:
    """Raise `TableError` if the videos of a table were scored without motion."""
    if not metadata.has_motion:
        raise TableError(
            f"{path} has no motion scores, only {', '.join(metadata.signals or ()) or 'what heads say'}: "
            f"{how_to_add('motion', metadata.signals)}"
        )


def check_camera(path: Path, metadata: Metadata) -> None:
    """Raise `TableError` if the videos of a table were scored without camera."""
    if not metadata.has_camera:
        raise TableError(f"{path} has no camera moves: {how_to_add('camera', metadata.signals)}")
