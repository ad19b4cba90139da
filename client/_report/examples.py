"""The example videos for a threshold: the nearest on each side whose outcome it alone decides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._tables.presets import Limit, Preset

CANDIDATES_PER_EXAMPLE = 4
"""Rows collected for each example, because videos whose files still exist are preferred."""


@dataclass(frozen=True)
class Candidate:
    """A scored row near a threshold."""

    distance: float
    """Absolute difference between its score and the cut-off."""
    index: int
    """Its index among the scored rows, from 0."""
    row: dict[str, Any]
    """Its columns."""


class NearestRows:
    """Collects, batch by batch, the rows nearest to one limit of a preset on each side of it.

    Considers only rows that match the preset's other limits: the rest do not match the preset either way.
    """

    def __init__(self, preset: Preset, limit: Limit, count: int) -> None:
        """limit: one of the preset's limits; count: examples wanted on each side."""
        self.preset = preset
        self.limit = limit
        self._others = [other for other in preset.limits if other is not limit]
        self._most = count * CANDIDATES_PER_EXAMPLE
        self.matched: list[Candidate] = []
        """Rows that match the limit, nearest first."""
        self.unmatched: list[Candidate] = []
        """Rows that do not, those on the cut-off included, nearest first."""

    def add(self, batch: pa.RecordBatch, scores: dict[str, NDArray[np.float32]], first: int) -> None:
        """Consider a batch of scored rows.

        scores: (rows,) float32 of each score by its short name; first: index of the batch's first row among all
        scored rows.
        """
        others = [other.takes(scores[other.score]) for other in self._others]
        decided = np.logical_and.reduce(others) if others else np.ones(batch.num_rows, np.bool_)
        values = scores[self.limit.score]
        decided &= np.isfinite(values)
        matches = self.limit.takes(values)
        distances = np.abs(values - np.float32(self.limit.cutoff))
        self.matched = self._nearest(self.matched, batch, np.flatnonzero(decided & matches), distances, first)
        self.unmatched = self._nearest(self.unmatched, batch, np.flatnonzero(decided & ~matches), distances, first)

    def _nearest(
        self,
        found: list[Candidate],
        batch: pa.RecordBatch,
        rows: NDArray[np.intp],
        distances: NDArray[np.float32],
        first: int,
    ) -> list[Candidate]:
        if not self._most:
            return found
        if len(found) == self._most:
            rows = rows[distances[rows] < found[-1].distance]
        rows = rows[np.argsort(distances[rows], kind="stable")[: self._most]]
        if not len(rows):
            return found
        contents = batch.take(pa.array(rows)).to_pylist()
        new = [
            Candidate(float(distances[row]), first + int(row), content)
            for row, content in zip(rows, contents, strict=True)
        ]
        return sorted([*found, *new], key=lambda candidate: candidate.distance)[: self._most]
