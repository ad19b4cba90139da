"""The rows of a table that fit best, in constant memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .frames import FrameRows

By = Literal["best", "mean"]


@dataclass(frozen=True)
class Hit:
    """A row that fits."""

    row: int
    """Its number in the table."""
    similarity: float
    """The cosine of the frame that fits best."""
    similarity_mean: float
    """The mean cosine over the frames."""
    best_seconds: float | None
    """When that frame is shown; None if the table does not say."""
    topic: str | None = None
    """The label whose mean cosine is largest; None without labels."""
    topic_similarity: float | None = None
    """That cosine."""

    def as_dict(self) -> dict[str, float | str]:
        """What was found, without the row and without what is None."""
        return {name: value for name, value in vars(self).items() if name != "row" and value is not None}


def best_hits(
    batches: Iterable[FrameRows],
    query: NDArray[np.float32],
    top: int,
    *,
    by: By = "best",
    labels: Sequence[str] = (),
    label_queries: NDArray[np.float32] | None = None,
) -> list[Hit]:
    """The `top` rows that fit best, best first; of equal ones, the first in the table.

    query: (1, dimensions) of unit length; label_queries: (labels, dimensions), likewise.
    """
    queries = query if label_queries is None else np.concatenate([query, label_queries])
    hits: list[Hit] = []
    for rows in batches:
        cosines = rows.cosines(queries)
        best, mean = rows.best(cosines[:, :1])[:, 0], rows.mean(cosines)
        values = best if by == "best" else mean[:, 0]
        for index in _candidates(values, top, _value(hits[-1], by) if len(hits) == top else None):
            start, count = rows.starts[index], rows.counts[index]
            shown = (
                None
                if rows.seconds is None
                else float(rows.seconds[start + cosines[start : start + count, 0].argmax()])
            )
            topic = _topic(labels, mean[index, 1:]) if label_queries is not None else (None, None)
            hits.append(Hit(int(rows.rows[index]), float(best[index]), float(mean[index, 0]), shown, *topic))
        hits.sort(key=lambda hit: (-_value(hit, by), hit.row))
        del hits[top:]
    return hits


def topics_of(rows: FrameRows, labels: Sequence[str], label_queries: NDArray[np.float32]) -> list[tuple[str, float]]:
    """For each row, the label whose mean cosine is largest, and that cosine."""
    means = rows.mean(rows.cosines(label_queries))
    return [_topic(labels, row) for row in means]


def _candidates(values: NDArray[np.float32], top: int, worst: float | None) -> NDArray[np.intp]:
    """Indices of at most `top` values that can be among the best, those above `worst` if it is given."""
    found = np.arange(len(values)) if worst is None else np.flatnonzero(values > np.float32(worst))
    if len(found) > top:
        # Stable, so that of equal ones the first stay.
        found = found[np.argsort(-values[found], kind="stable")[:top]]
    return found


def _value(hit: Hit, by: By) -> float:
    return hit.similarity if by == "best" else hit.similarity_mean


def _topic(labels: Sequence[str], means: NDArray[np.float32]) -> tuple[str, float]:
    index = int(means.argmax())
    return labels[index], float(means[index])
