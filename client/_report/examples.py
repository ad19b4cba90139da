"""Which videos show what a threshold does: those nearest to it, of which it alone decides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._tables.presets import Limit, Preset

CANDIDATES_PER_EXAMPLE = 4
"""How many more are looked at, so that videos that are still there can be preferred."""


@dataclass(frozen=True)
class Candidate:
    """A row of the table near a threshold."""

    distance: float
    """From its score to the cut-off."""
    index: int
    """Which of the scored rows it is, from 0."""
    row: dict[str, Any]
    """The row."""


class NearestRows:
    """Collects, a batch at a time, the rows nearest to one limit of a preset on either side of it.

    Only rows that the preset's other limits hold for: what becomes of the others does not depend on this one.
    """

    def __init__(self, preset: Preset, limit: Limit, count: int) -> None:
        """limit: one of the preset's; count: examples wanted on each side."""
        self.preset = preset
        self.limit = limit
        self._others = [other for other in preset.limits if other is not limit]
        self._most = count * CANDIDATES_PER_EXAMPLE
        self.taken: list[Candidate] = []
        """On the side that the limit takes, nearest first."""
        self.spared: list[Candidate] = []
        """On the other side, or on the cut-off itself, nearest first."""

    def add(self, batch: pa.RecordBatch, scores: dict[str, NDArray[np.float32]], first: int) -> None:
        """Look at scored rows; `first` is the index of the first of them among all scored rows."""
        others = [other.takes(scores[other.score]) for other in self._others]
        decides = np.logical_and.reduce(others) if others else np.ones(batch.num_rows, np.bool_)
        takes = self.limit.takes(scores[self.limit.score])
        distances = np.abs(scores[self.limit.score] - np.float32(self.limit.cutoff))
        self.taken = self._nearest(self.taken, batch, np.flatnonzero(decides & takes), distances, first)
        self.spared = self._nearest(self.spared, batch, np.flatnonzero(decides & ~takes), distances, first)

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
