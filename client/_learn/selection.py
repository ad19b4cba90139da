"""Which rows of a table a learned filter keeps."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

REASONS = ("learned", "top", "one_per")
"""Why a row is dropped: its probability is too low, it is not among the best, or another of its source is better."""


@dataclass(frozen=True)
class Selection:
    """(rows,) arrays about the rows of a table, in its order."""

    probabilities: NDArray[np.float32]
    """How probable it is that a row is worth keeping; NaN for rows without scores."""
    dropped: dict[str, NDArray[np.bool_]]
    """For each of `REASONS` that was asked for, which rows it drops."""


def select(
    probabilities: NDArray[np.float32],
    eligible: NDArray[np.bool_],
    sources: NDArray[np.int64] | None,
    *,
    at: float,
    top: int | None,
) -> Selection:
    """Keep the rows from probability `at` on, of these at most one of each source, and of these the `top` best.

    `eligible` (rows,) are those that nothing else drops. `sources` (rows,) numbers the sources; None: each row is its
    own. Of equal rows the first one is kept.
    """
    low = ~(probabilities >= at) & ~np.isnan(probabilities)
    dropped = {"learned": low}
    left = eligible & ~low & ~np.isnan(probabilities)
    order = np.flatnonzero(left)[np.argsort(-probabilities[left], kind="stable")]
    if sources is not None:
        _, first = np.unique(sources[order], return_index=True)
        best = order[np.sort(first)]
        dropped["one_per"] = _without(left, best)
        order = best
    if top is not None:
        dropped["top"] = _without(_mask(len(left), order), order[:top])
    return Selection(probabilities, dropped)


class Sources:
    """Numbers the values of a column, batch by batch; a row without a value is a source of its own."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._rows = 0

    def numbers(self, column: pa.Array) -> NDArray[np.int64]:
        """(rows,) the number of each value."""
        numbers = np.empty(len(column), np.int64)
        for index, value in enumerate(column.to_pylist()):
            key: object = value if value is not None else (self._rows, index)
            numbers[index] = self._numbers.setdefault(key, len(self._numbers))
        self._rows += len(column)
        return numbers


def _mask(rows: int, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(rows, np.bool_)
    mask[chosen] = True
    return mask


def _without(rows: NDArray[np.bool_], kept: NDArray[np.int64]) -> NDArray[np.bool_]:
    return rows & ~_mask(len(rows), kept)
