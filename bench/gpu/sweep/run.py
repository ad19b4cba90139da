"""The order of a sweep: each point that is not finished is measured, and written down at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench.gpu.steps import Skipped
from bench.gpu.sweep.grid import Decoding, Grid, Load, Network, Point, Setting, Stripping
from bench.gpu.sweep.journal import Journal, Raw
from bench.gpu.sweep.measures import Measures


@dataclass
class Outcome:
    """What a run of the sweep has and has not."""

    finished: dict[Point, Raw] = field(default_factory=dict)
    """Every point with a figure, of this run or an earlier one."""
    skipped: dict[Point, str] = field(default_factory=dict)
    """Points that this machine cannot measure, with the reason; the next run tries them again."""
    failed: dict[Point, str] = field(default_factory=dict)
    """Points whose measurement failed, with the error; the next run tries them again."""


def run(grid: Grid, measures: Measures, journal: Journal, report: Callable[[str], None]) -> Outcome:
    """Measure what is missing; `report` gets a line for each point that is done."""
    outcome = Outcome()
    videos = {video.name: video for video in grid.videos}

    def measure(point: Point, function: Callable[[], Raw]) -> None:
        try:
            raw = function()
        except Skipped as reason:
            outcome.skipped[point] = str(reason)
            report(f"{point}: skipped, {reason}")
        except Exception as error:
            outcome.failed[point] = f"{type(error).__name__}: {error}".splitlines()[0]
            report(f"{point}: FAILED, {outcome.failed[point]}")
        else:
            journal.add(point, raw)
            outcome.finished[point] = raw
            report(f"{point}: {_main_figure(raw)}")

    def missing(points: list[Load]) -> list[Load]:
        for point in points:
            if (raw := journal.find(point)) is not None:
                outcome.finished[point] = raw
        return [point for point in points if point not in outcome.finished]

    for point in grid.alone():
        if (raw := journal.find(point)) is not None:
            outcome.finished[point] = raw
            continue
        match point:
            case Decoding(library, video):
                measure(point, partial(measures.decoding, library, videos[video]))
            case Stripping(video):
                measure(point, partial(measures.stripping, videos[video]))
            case Network(network, batch):
                measure(point, partial(measures.network, network, batch))

    def with_server(setting: Setting, points: list[Load]) -> None:
        with measures.server(setting) as load:
            for point in points:
                measure(point, partial(load, videos[point.video], point.in_flight))

    for setting in grid.settings():
        if not (points := missing(grid.loads(setting))):
            continue
        try:
            with_server(setting, points)
        except Skipped as reason:
            outcome.skipped |= {point: str(reason) for point in points}
            report(f"{setting}: skipped, {reason}")
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            outcome.failed |= {point: text for point in points if point not in outcome.finished}
            report(f"{setting}: FAILED, {text}")
    return outcome


def _main_figure(raw: Raw) -> str:
    names = {
        "videos_per_second": "videos/s",
        "frames_per_second": "frames/s",
        "clips_per_second": "clips/s",
        "stripped_wanted_fps": "wanted frames/s from the stripped file",
    }
    name = next(name for name in names if name in raw)
    return f"{raw[name]:.4g} {names[name]}"
