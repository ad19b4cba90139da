"""The interval of a proportion."""

import math

Z = 1.959964
"""The 97.5th percentile of the normal distribution."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a proportion; from 0 to 1 without a trial.

    Wilson's score interval: E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal
    of the American Statistical Association 22 (1927), 209-212. Unlike p +- z sqrt(p (1 - p) / n), it also holds for a
    proportion of 1.
    """
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    scale = 1 + Z**2 / trials
    middle = (share + Z**2 / (2 * trials)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    return middle - half if successes else 0.0, middle + half if successes < trials else 1.0
