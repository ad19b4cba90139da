"""How far two people agree."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .._learn.answers import Part

_Z_95 = 1.959964


@dataclass(frozen=True)
class Agreement:
    """About the parts that both answered."""

    both: int
    """Parts that both answered."""
    only_first: int
    """Parts that only the first answered."""
    only_second: int
    """Parts that only the second answered."""
    agreed: float
    """Share of the parts that both gave the same answer; 0 if there are none."""
    kappa: float | None
    """Cohen's kappa, 1 for agreement and 0 for chance; None where it is not defined."""
    low: float | None
    """Lower end of the 95 % interval of kappa."""
    high: float | None
    """Upper end of the 95 % interval of kappa."""
    disputed: tuple[Part, ...]
    """Parts with different answers."""


def agreement(first: Mapping[Part, bool], second: Mapping[Part, bool]) -> Agreement:
    """Compare answers. Kappa and its standard error as in Cohen (1960), A coefficient of agreement for nominal scales.

    Kappa is not defined without common parts, nor if both gave one and the same answer to all.
    """
    both = [part for part in first if part in second]
    count = len(both)
    disputed = tuple(part for part in both if first[part] != second[part])
    observed = (count - len(disputed)) / count if count else 0.0
    kappa = low = high = None
    if count:
        yes_first, yes_second = (sum(answers[part] for part in both) / count for answers in (first, second))
        chance = yes_first * yes_second + (1 - yes_first) * (1 - yes_second)
        if chance < 1:
            kappa = (observed - chance) / (1 - chance)
            error = math.sqrt(observed * (1 - observed) / count) / (1 - chance)
            low, high = max(-1.0, kappa - _Z_95 * error), min(1.0, kappa + _Z_95 * error)
    return Agreement(count, len(first) - count, len(second) - count, observed, kappa, low, high, disputed)
