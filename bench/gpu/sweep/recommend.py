"""The setting to serve with: the fastest over all videos and, of those that are as fast, the smallest."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.gpu.sweep.bounds import Finished
from bench.gpu.sweep.grid import Grid, Load, Setting

AS_FAST = 0.98
"""Settings and loads that reach this share of the best are taken to be as fast."""


@dataclass(frozen=True)
class Recommendation:
    """A setting, and what it reaches."""

    setting: Setting
    in_flight: int
    """The fewest requests in flight that reach its rate."""
    videos_per_second: dict[str, float]
    """By video, with so many requests in flight."""


def recommend(grid: Grid, finished: Finished) -> Recommendation | None:
    """The best of the settings whose loads were all measured; None if there is none.

    A setting counts with the geometric mean, over the videos, of its rate relative to the best setting's, each at the
    best number of requests in flight. Of those as fast as the best, the one with the fewest instances is recommended,
    then with the shortest delay, then with the smallest batch.
    """
    rates = {
        setting: {(load.video, load.in_flight): _rate(finished, load) for load in grid.loads(setting)}
        for setting in grid.settings()
        if all(load in finished for load in grid.loads(setting))
    }
    if not rates:
        return None
    best = {setting: _best(grid, of_setting) for setting, of_setting in rates.items()}
    top = {video.name: max(of_setting[video.name] for of_setting in best.values()) for video in grid.videos}
    scores = {setting: _mean(best[setting][name] / top[name] for name in top) for setting in best}
    as_fast = [setting for setting, score in scores.items() if score >= AS_FAST * max(scores.values())]
    chosen = min(as_fast, key=lambda setting: (setting.instances, setting.delay_microseconds, setting.batch))
    by_count = {
        count: _mean(rates[chosen][name, count] / best[chosen][name] for name in top) for count in grid.in_flight
    }
    in_flight = min(count for count, share in by_count.items() if share >= AS_FAST * max(by_count.values()))
    return Recommendation(chosen, in_flight, {name: rates[chosen][name, in_flight] for name in top})


def _rate(finished: Finished, load: Load) -> float:
    return float(finished[load]["videos_per_second"])


def _best(grid: Grid, rates: dict[tuple[str, int], float]) -> dict[str, float]:
    return {video.name: max(rates[video.name, count] for count in grid.in_flight) for video in grid.videos}


def _mean(shares: Iterable[float]) -> float:
    """The geometric mean."""
    logarithms = [math.log(share) for share in shares]
    return math.exp(sum(logarithms) / len(logarithms))
