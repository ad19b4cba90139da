"""`python -m bench.scale engines`: the rate of `score --engine ray` beside that of `score` alone, in turns."""

from statistics import median

from bench.many import repository, supervised
from bench.markdown import number, table
from bench.scale.real_run import RAY, RealRun, Servers, real_run

SHARE = 0.95
"""What Ray must have of the rate without it."""
HEADER = ("round", "engine", "videos/s", "start s", "client ms/video", "servers ms/video", "other cores")


def engines(count: int, in_flight: int, rounds: int) -> int:
    """Score so many videos in turns without and with Ray, on two servers; returns the exit status."""
    tiny = repository("tiny", width=48, depth=2)
    with supervised(tiny) as (one, first), supervised(tiny) as (two, second):
        servers = Servers((one, two), (first, second))
        real_run(100, servers, in_flight, "warm")
        runs = [
            (real_run(count, servers, in_flight, "alone"), real_run(count, servers, in_flight, "ray", RAY))
            for _ in range(rounds)
        ]
    print(table(HEADER, [row for turn, pair in enumerate(runs, 1) for row in _rows(turn, *pair)]))
    share = median(ray.videos_per_second / alone.videos_per_second for alone, ray in runs)
    whole = all(run.once and run.rows == count for pair in runs for run in pair)
    print(f"Ray has {share:.1%} of the rate without it (median of {rounds}); rows {'right' if whole else 'WRONG'}")
    return 0 if share >= SHARE and whole else 1


def _rows(turn: int, alone: RealRun, ray: RealRun) -> list[tuple[str, ...]]:
    return [
        (
            str(turn),
            name,
            number(run.videos_per_second),
            number(run.start_seconds),
            number(1000 * run.client_cpu_seconds / run.rows),
            number(1000 * run.server_cpu_seconds / run.rows),
            number(run.other_cpu_seconds / run.seconds),
        )
        for name, run in (("alone", alone), ("ray", ray))
    ]
