"""A random sample of the rows that count."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import numpy as np

from .._counted import counted
from .errors import EvaluationError
from .rows import CaptionedRow
from .texts import Key


def sampled(
    read: Callable[[], Iterable[CaptionedRow]],
    captions: Sequence[str],
    count: int,
    seed: int,
    what: str,
    excluded: Collection[Key] = frozenset(),
) -> Iterator[CaptionedRow]:
    """`count` rows that have embeddings and all `captions`, each as likely as any other, in the order of the table.

    read: reads the table, twice; excluded: rows that are not drawn. Raises `EvaluationError` if there are not so many.
    """

    def counts(row: CaptionedRow) -> bool:
        return row.frames is not None and all(name in row.captions for name in captions) and row.key not in excluded

    usable = sum(counts(row) for row in read())
    if usable < count:
        others = ", which are not in the first table" if excluded else ""
        rows = f"{counted(usable, 'row')} with embeddings and captions{others}"
        raise EvaluationError(f"{what} has {rows}, fewer than the {count:,} to draw")
    chosen = np.zeros(usable, bool)
    chosen[np.random.default_rng(seed).choice(usable, count, replace=False)] = True
    number = 0
    for row in read():
        if counts(row):
            if chosen[number]:
                yield row
            number += 1
