"""A random sample of the rows that count."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from .errors import EvaluationError
from .rows import CaptionedRow


def sampled(
    read: Callable[[], Iterable[CaptionedRow]], captions: Sequence[str], count: int, seed: int, what: str
) -> Iterator[CaptionedRow]:
    """`count` rows that have embeddings and all `captions`, each as likely as any other, in the order of the table.

    read: reads the table, twice. Raises `EvaluationError` if there are not so many.
    """
    usable = sum(_counts(row, captions) for row in read())
    if usable < count:
        raise EvaluationError(
            f"{what} has {usable:,} rows with embeddings and captions, fewer than the {count:,} to draw"
        )
    chosen = np.zeros(usable, bool)
    chosen[np.random.default_rng(seed).choice(usable, count, replace=False)] = True
    number = 0
    for row in read():
        if _counts(row, captions):
            if chosen[number]:
                yield row
            number += 1


def _counts(row: CaptionedRow, captions: Sequence[str]) -> bool:
    return row.frames is not None and all(name in row.captions for name in captions)
