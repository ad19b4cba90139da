"""Intervals of shares and means, and the sign test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    """The figure."""
    low: float
    """The lower bound."""
    high: float
    """The upper bound."""


def wilson(successes: int, trials: int) -> Interval | None:
    """A share with Wilson's score interval; None without trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not trials:
        return None
    share = successes / trials
    middle = share + Z**2 / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    return Interval(share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def mean(values: Sequence[float], seed: int = 0) -> Interval | None:
    """A mean with its interval by the percentile bootstrap; None without values."""
    if not values:
        return None
    array = np.asarray(values, np.float64)
    rows = np.random.default_rng(seed).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[rows].mean(axis=1), (2.5, 97.5))
    return Interval(float(array.mean()), float(low), float(high))


def sign_test(wins: int, losses: int) -> float:
    """The p of the two-sided exact sign test: how likely a split at least as uneven is if both are as good."""
    trials = wins + losses
    if not trials:
        return 1.0
    tail = sum(math.comb(trials, count) for count in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**trials))
