"""The table of `python -m bench.scale`."""

from collections.abc import Iterable, Iterator

from bench.markdown import number, table
from bench.scale.days import whole_run
from bench.scale.scenarios import CLIPS, FAILURES, GPUS, clip, machines
from bench.scale.videos import Simulation

DAY_SECONDS = 86400.0
HEADER = ("clips", "GPUs", "rates", "videos/s", "days", "TB read", "bound by", "failures", "GPU hours lost")


def rows(gpus: Iterable[int] = GPUS, clips: Iterable[float] = CLIPS, per_gpu: int = 120) -> Iterator[tuple[str, ...]]:
    """A row for each number of GPUs, bound of the rates and number of clips; `per_gpu` clips are simulated singly."""
    clips = [*clips]
    for count in gpus:
        for end, rates in enumerate(("low", "high")):
            system, one = machines(count), clip(end)
            single = Simulation(one, system, max(per_gpu * count, 4000)).run()
            held = min(system.queue, system.readers * system.in_flight / count)
            for total in clips:
                run = whole_run(total, count, single.videos_per_second, held, FAILURES)
                yield (
                    f"{total:,.0f}",
                    str(count),
                    rates,
                    number(single.videos_per_second),
                    number((run.seconds + system.start_seconds) / DAY_SECONDS),
                    number((total + run.repeated) * one.megabytes / 1e6),
                    single.bound_by,
                    str(run.failures),
                    number(run.lost_seconds / 3600),
                )


def dead_server(gpus: int = 8, videos: int = 4000) -> tuple[float, int]:
    """Seconds that one server costs which dies in the middle and stays away, and how many videos were sent again."""
    system, one = machines(gpus), clip(0)
    whole = Simulation(one, system, videos).run()
    middle = system.start_seconds + (whole.seconds - system.start_seconds) / 2
    dead = Simulation(
        one, system, videos, dead_at=middle, dead_seconds=1e9, notice_seconds=FAILURES.notice_seconds
    ).run()
    return dead.seconds - whole.seconds, dead.repeated


def report() -> str:
    """The whole report, in Markdown."""
    seconds, repeated = dead_server()
    return "\n".join(
        [
            table(HEADER, rows()),
            "",
            f"One of 8 servers dies in the middle of 4,000 clips and stays away (low rates): {seconds:.0f} s longer, "
            f"{repeated} videos sent again.",
        ]
    )
