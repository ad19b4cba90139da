"""Numbers of a table's rows that presets set limits on: the three scores, measures, and how the camera moves."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .columns import scores_of
from .how_to_add import how_to_add
from .presets import COLUMNS, Preset
from .row import METRIC_COLUMNS
from .table import SCHEMA, Metadata

Values = NDArray[np.float32]
LABEL_PREFIX = "camera_"
"""Begins the name of a camera label among numbers: the mean over the clips of its probability."""
LARGEST_CUTOFF = 100_000.0
"""Largest absolute value of a cut-off of a measure."""
LARGEST_OF_COLUMNS = 1e9
"""The same of any other column of numbers, such as `frames`."""


@dataclass(frozen=True)
class Quantity:
    """A measure, or how probable some camera labels are."""

    name: str
    """What limits call it."""
    title: str
    """Over its distribution in the report."""
    high: float
    """Where the axis of its distribution ends; larger values are counted in the last bin."""
    labels: frozenset[str] = frozenset()
    """Camera labels, of which it is the largest probability, averaged over the clips; none for a measure."""

    def values(self, batch: pa.RecordBatch, metadata: Metadata) -> Values:
        """(rows,) float32 of a batch with the columns `columns_of` names; NaN for rows without it."""
        if self.labels:
            return _mean_of_largest(batch, [label in self.labels for label in metadata.labels])
        column = batch.column(self.name).cast(pa.float32(), safe=False)  # a count may take more digits
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float32)

    def why_not(self, columns: Collection[str], metadata: Metadata) -> str | None:
        """Why a table with these columns, "it", does not have it; None if it does."""
        again = how_to_add("camera" if self.labels else "metrics", metadata.signals)
        if not self.labels and self.name not in {*METRIC_COLUMNS, *columns}:
            return f"it has no column {self.name} of numbers"
        if not self.labels:
            what = "measures" if METRIC_COLUMNS.keys().isdisjoint(columns) else self.name
            return None if self.name in columns else f"it has no {what}: {again}"
        if not metadata.has_camera:
            return f"it has no camera labels: {again}"
        if metadata.labels and not self.labels.intersection(metadata.labels):
            return f"its camera labels do not include {', '.join(sorted(self.labels))}"
        return None


def _directions(*kinds: str) -> frozenset[str]:
    ways = {"tilt": ("up", "down"), "pedestal": ("up", "down"), "zoom": ("in", "out"), "dolly": ("in", "out")}
    return frozenset(f"{kind}_{way}" for kind in kinds for way in ways.get(kind, ("left", "right")))


QUANTITIES = {
    each.name: each
    for each in (
        Quantity("plane_moves", "Moves of a plane", 1.0, _directions("pan", "tilt", "roll", "zoom")),
        Quantity("depth_moves", "Moves through depth", 1.0, _directions("truck", "pedestal", "dolly", "arc")),
        Quantity("cuts", "Cuts", 10.0),
        Quantity("black_share", "Black frames", 1.0),
        Quantity("frozen_share", "Frozen pairs", 1.0),
        Quantity("letterbox", "Black bars", 1.0),
    )
}
"""What limits can be set on beside the scores, by name. `docs/measures.md` defines each."""


def quantities_of(presets: Iterable[Preset]) -> list[Quantity]:
    """Those on which presets have limits, each once: `QUANTITIES` in their order, then other columns and labels."""
    named = dict.fromkeys(limit.score for preset in presets for limit in preset.limits)
    others = [_other(name) for name in named if name not in QUANTITIES and name not in COLUMNS]
    return [*(quantity for name, quantity in QUANTITIES.items() if name in named), *others]


def columns_of(presets: Iterable[Preset]) -> list[str] | None:
    """The columns to read for presets, which are those of every table and measures; None if every table has them."""
    measures = [quantity.name for quantity in quantities_of(presets) if not quantity.labels]
    return list(dict.fromkeys((*SCHEMA.names, *measures))) if measures else None


def values_of(batch: pa.RecordBatch, metadata: Metadata, presets: Iterable[Preset]) -> dict[str, Values]:
    """(rows,) float32 of the three scores, and of what else these presets have limits on, by name."""
    others = {quantity.name: quantity.values(batch, metadata) for quantity in quantities_of(presets)}
    return scores_of(batch) | others


def cutoffs_of(name: str, largest_of_scores: float) -> tuple[float, float]:
    """The least and the largest cut-off of a score or of another quantity; shares and probabilities have 0 to 1."""
    if name in QUANTITIES and QUANTITIES[name].high == 1:
        return 0.0, 1.0
    most = largest_of_scores if name in COLUMNS else LARGEST_CUTOFF if name in QUANTITIES else LARGEST_OF_COLUMNS
    return -most, most


def _other(name: str) -> Quantity:
    """A column of numbers, or, as `camera_pan_left`, a label that is averaged over the clips."""
    label = name.removeprefix(LABEL_PREFIX)
    is_label = label != name and name not in SCHEMA.names
    return Quantity(name, name, LARGEST_CUTOFF, frozenset({label}) if is_label else frozenset())


def _mean_of_largest(batch: pa.RecordBatch, chosen: list[bool]) -> Values:
    """(rows,) float32: the mean over the clips of the largest probability of chosen labels; NaN without clips."""
    clips = batch.column("clips")
    counts = np.asarray(clips.value_lengths().fill_null(0), np.int64)
    means = np.full(batch.num_rows, np.nan, np.float32)
    flat = clips.flatten()
    if not len(flat) or not any(chosen):
        return means
    probabilities = np.asarray(flat.field("probabilities").flatten(), np.float32).reshape(len(flat), len(chosen))
    largest = probabilities[:, np.array(chosen)].max(axis=1)
    filled = counts > 0
    starts = (np.cumsum(counts) - counts)[filled]
    means[filled] = np.add.reduceat(largest, starts) / counts[filled]
    return means
