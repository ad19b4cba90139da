"""Figures of sets of scores, and whether two differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
"""Of the bootstrap."""
_VALUES_AT_ONCE = 4_000_000

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """The figures of one set."""

    count: int
    """Rows."""
    mean: float
    """Mean."""
    median: float
    """Median."""
    mean_confidence_95: tuple[float, float] | None
    """Percentiles 2.5 and 97.5 of the means of bootstrap samples; None for fewer than two rows."""


@dataclass(frozen=True)
class Comparison:
    """Whether two sets, or two captions of one set, differ."""

    difference: float
    """Mean of the first minus mean of the second."""
    difference_confidence_95: tuple[float, float] | None
    """Of the bootstrap, which draws rows: of each set, or of pairs. None for fewer than two rows."""
    test: str
    """`Mann-Whitney U` (two sets) or `Wilcoxon signed-rank` (two captions of the same rows), two-sided."""
    p_value: float | None
    """None for fewer than two rows."""
    effect: str
    """`Cliff's delta` or `matched-pairs rank-biserial correlation`."""
    effect_size: float | None
    """From -1 to 1; above 0 if the first is larger."""


def figures(values: Values, seed: int) -> Figures:
    """The figures of a set; `values` has at least one."""
    confidence = _bootstrap((values,), _mean, seed) if len(values) > 1 else None
    return Figures(len(values), float(values.mean()), float(np.median(values)), confidence)


def compare_sets(first: Values, second: Values, seed: int) -> Comparison:
    """Two sets of different rows. Cliff's delta is 2 U / (n m) - 1."""
    test, effect = "Mann-Whitney U", "Cliff's delta"
    difference = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return Comparison(difference, None, test, None, effect, None)
    found = stats.mannwhitneyu(first, second, alternative="two-sided")
    delta = 2 * float(found.statistic) / (len(first) * len(second)) - 1
    confidence = _bootstrap((first, second), _difference, seed)
    return Comparison(difference, confidence, test, float(found.pvalue), effect, delta)


def compare_pairs(first: Values, second: Values, seed: int) -> Comparison:
    """Two values of each row. The effect is (R+ - R-) / (R+ + R-), of the sums of the ranks of positive and negative
    differences (Kerby 2014). Rows without a difference do not count for the test and the effect.
    """
    test, effect = "Wilcoxon signed-rank", "matched-pairs rank-biserial correlation"
    differences = first - second
    if len(differences) < 2:
        return Comparison(float(differences.mean()), None, test, None, effect, None)
    confidence = _bootstrap((differences,), _mean, seed)
    changed = differences[differences != 0]
    if not len(changed):
        return Comparison(0.0, confidence, test, 1.0, effect, 0.0)
    ranks = stats.rankdata(np.abs(changed))
    size = float((ranks * np.sign(changed)).sum() / ranks.sum())
    p_value = float(stats.wilcoxon(changed, alternative="two-sided").pvalue)
    return Comparison(float(differences.mean()), confidence, test, p_value, effect, size)


def as_json(content: Figures | Comparison) -> dict[str, Any]:
    """The fields, numbers rounded to 6 digits."""
    return {name: _rounded(value) for name, value in vars(content).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _mean(values: Values, axis: int) -> Any:
    return values.mean(axis)


def _difference(first: Values, second: Values, axis: int) -> Any:
    return first.mean(axis) - second.mean(axis)


def _bootstrap(data: tuple[Values, ...], statistic: Any, seed: int) -> tuple[float, float]:
    if all(np.ptp(values) == 0 for values in data):
        exact = float(statistic(*data, axis=-1))
        return exact, exact
    largest = max(map(len, data))
    found = stats.bootstrap(
        data,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _VALUES_AT_ONCE // largest),
        method="percentile",
        confidence_level=0.95,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)
