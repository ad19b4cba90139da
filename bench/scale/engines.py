"""`python -m bench.scale engines`: the rate of `score --engine ray` beside that of `score` alone, in turns.

The servers answer after a fixed time and compute nothing, as servers on other machines: what is compared is what reads,
sends and writes.
"""

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.markdown import number, table
from bench.scale.real_run import RAY, RealRun, Servers, real_run
from fixtures.fake_server import content, fake_server

SHARE = 0.95
"""What Ray must have of the rate without it."""
ANSWER_SECONDS = 0.25
HEADER = ("round", "engine", "videos/s", "start s", "end s", "whole s", "client ms/video", "other cores")


def engines(count: int, in_flight: int, rounds: int) -> int:
    """Score so many videos in turns without and with Ray, on two servers; returns the exit status."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "videos"
        folder.mkdir()
        for number_of_video in range(count):
            (folder / f"{number_of_video:06}.mp4").write_bytes(content(number_of_video))
        slow = ("--seconds", ANSWER_SECONDS)
        with fake_server(Path(place) / "one", *slow) as one, fake_server(Path(place) / "two", *slow) as two:
            servers = Servers((one.url, two.url), (one.process.pid, two.process.pid))
            runs = [
                (real_run(folder, servers, in_flight, "alone"), real_run(folder, servers, in_flight, "ray", RAY))
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
            number(run.end_seconds),
            number(run.seconds),
            number(1000 * run.client_cpu_per_video),
            number(run.other_cpu_seconds / run.seconds),
        )
        for name, run in (("alone", alone), ("ray", ray))
    ]
