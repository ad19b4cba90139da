"""`python -m bench.scale check`: a real run with Ray and two servers on this machine, beside what the model says."""

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.many import CACHE, ROOT, repository, supervised, videos
from bench.scale.system import Clip, Machines
from bench.scale.videos import Simulation
from client.table import read_table
from video.processes import descendants

CALIBRATION = 200
SERVERS = 2
WITHIN = 0.15
RAY_SHARE = 0.95


@dataclass(frozen=True)
class Real:
    """A real run."""

    seconds: float
    """From the command to its end."""
    cpu_seconds: float
    """Of the servers."""
    rows: int
    """Rows of its table."""
    once: bool
    """Whether each video has one row."""


def check(count: int, in_flight: int) -> int:
    """Measure a single video, ask the model for `count` of them, do it, and compare; returns the exit status."""
    tiny = repository("tiny", width=48, depth=2)
    with supervised(tiny) as (one, first), supervised(tiny) as (two, second):
        roots = (first, second)
        few = _score(CALIBRATION, [one], 1, roots, "few", ())
        empty = _score(CALIBRATION, [one], 1, roots, "again", ())
        cpu = min(few.cpu_seconds, empty.cpu_seconds) / CALIBRATION
        started = _start_of_ray([one, two], roots)
        predicted = predict(count, cpu, started, in_flight)
        alone = _score(count, [one, two], in_flight, roots, "alone", ())
        ray = _score(count, [one, two], in_flight, roots, "ray", ("--engine", "ray"))
    share = alone.seconds / ray.seconds
    error = predicted / ray.seconds - 1
    print(
        f"a video costs the servers {cpu * 1000:.1f} ms of CPU, measured one at a time; Ray starts in {started:.1f} s"
    )
    print(f"model: {predicted:.0f} s for {count:,} videos with Ray; real: {ray.seconds:.0f} s ({error:+.1%})")
    print(f"without Ray: {alone.seconds:.0f} s, so Ray has {share:.1%} of its rate")
    for name, run in (("Ray", ray), ("without Ray", alone)):
        print(f"{name}: {run.rows:,} rows, {'one' if run.once else 'NOT one'} for each video")
    good = abs(error) <= WITHIN and share >= RAY_SHARE and ray.once and alone.once and ray.rows == alone.rows == count
    print("within the bounds" if good else f"NOT within {WITHIN:.0%}, or Ray below {RAY_SHARE:.0%}, or rows are wrong")
    return 0 if good else 1


def predict(count: int, cpu_seconds: float, start_seconds: float, in_flight: int, cores: int | None = None) -> float:
    """The model's seconds for so many videos on the cores of one machine, which readers and servers share."""
    clip = Clip(0.02, 0.5 * cpu_seconds, 0.5 * cpu_seconds)
    machines = Machines(
        servers=SERVERS,
        decoders=4,
        networks=1,
        queue=64,
        readers=1,
        in_flight=in_flight,
        reader_megabytes_per_second=1000.0,
        storage_megabytes_per_second=1000.0,
        storage_seconds=0.0,
        driver_videos_per_second=1000.0,
        start_seconds=start_seconds,
        cores=cores or os.cpu_count() or 1,
    )
    return Simulation(clip, machines, count).run().seconds


def _start_of_ray(urls: list[str], roots: tuple[int, int]) -> float:
    return _score(1, urls, 1, roots, "start", ("--engine", "ray")).seconds


def _score(
    count: int, urls: list[str], in_flight: int, roots: tuple[int, int], name: str, engine: tuple[str, ...]
) -> Real:
    """Score so many videos into a new table."""
    output = CACHE / f"scale_{name}.parquet"
    for left in (output, output.with_name(f"{output.name}.journal")):
        left.unlink(missing_ok=True)
    folder = videos(count)
    command = [sys.executable, "-m", "client.score", str(folder), "--output", str(output), "--max-clips", "1"]
    command += [argument for url in urls for argument in ("--url", url)]
    command += ["--in-flight", str(in_flight), *engine]
    before, start = _cpu(roots), time.monotonic()
    status = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if status.returncode not in (0, 1) or not output.exists():  # some of the videos are broken
        raise SystemExit(f"the run {name} failed: {status.stderr}")
    names = read_table(output).column("video").to_pylist()
    once = Counter(names) == Counter(str(path) for path in _files(folder))
    return Real(seconds, _cpu(roots) - before, len(names), once)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _cpu(roots: tuple[int, int]) -> float:
    return sum(process.cpu_seconds for root in roots for process in descendants(root))
