"""A real run of `client.score` against servers on this machine, and what it costs."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.many import CACHE, ROOT, videos
from bench.memory import cpu_seconds
from client.table import read_table
from video.processes import TICKS_PER_SECOND

POLL_SECONDS = 0.2
RAY = ("--engine", "ray")


@dataclass(frozen=True)
class Servers:
    """Servers that are running."""

    urls: tuple[str, ...]
    """Host and gRPC port of each."""
    roots: tuple[int, ...]
    """The process of each."""


@dataclass(frozen=True)
class RealRun:
    """What a run did."""

    rows: int
    """Rows of its table."""
    once: bool
    """Whether each video has one row."""
    seconds: float
    """From the command to its end."""
    videos_per_second: float
    """Rows a second between the tenth and the last tenth of the rows: without start and end."""
    start_seconds: float
    """How long before its first row it would have begun, had it had that rate from its start."""
    server_cpu_seconds: float
    """CPU time of the servers."""
    client_cpu_seconds: float
    """CPU time of the command, with what it started."""
    other_cpu_seconds: float
    """CPU time of everything else on this machine meanwhile."""


def real_run(count: int, servers: Servers, in_flight: int, name: str, engine: Sequence[str] = ()) -> RealRun:
    """Score so many videos into a new table. engine: further arguments of the command.

    Ends the program if the command fails.
    """
    folder, output = videos(count), CACHE / f"scale_{name}.jsonl"
    for left in (output, output.with_name(f"{output.name}.journal")):
        left.unlink(missing_ok=True)
    command = [sys.executable, "-m", "client.score", str(folder), "--output", str(output), "--max-clips", "1"]
    command += [argument for url in servers.urls for argument in ("--url", url)]
    command += ["--in-flight", str(in_flight), *engine]
    served, busy, began = _cpu(servers), _busy_seconds(), time.monotonic()
    samples: list[tuple[float, int]] = []
    client_cpu, own_cpu = 0.0, time.process_time()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        rows = _Rows(output)
        while process.poll() is None:
            samples.append((time.monotonic() - began, rows.count()))
            client_cpu = max(client_cpu, cpu_seconds(process.pid))
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        said = process.stderr.read() if process.stderr else ""
    if process.returncode not in (0, 1) or rows.count() < count:  # 1: some of the videos are broken
        raise SystemExit(f"the run {name} failed: {said}")
    served = _cpu(servers) - served
    rate, start = _rate(samples, count)
    names = Counter(read_table(output).column("video").to_pylist())
    return RealRun(
        rows=names.total(),
        once=names == Counter(str(path) for path in folder.rglob("*") if path.is_file()),
        seconds=seconds,
        videos_per_second=rate,
        start_seconds=start,
        server_cpu_seconds=served,
        client_cpu_seconds=client_cpu,
        other_cpu_seconds=_busy_seconds() - busy - served - client_cpu - (time.process_time() - own_cpu),
    )


class _Rows:
    """Counts the lines of a table that is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read, self._lines = 0, 0

    def count(self) -> int:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            self._read += len(data)
            self._lines += data.count(b"\n")
        return self._lines


def _rate(samples: list[tuple[float, int]], count: int) -> tuple[float, float]:
    """Rows a second between a tenth and nine tenths of them, and when a run of this rate would have begun."""
    middle = [(seconds, rows) for seconds, rows in samples if 0.1 * count <= rows <= 0.9 * count]
    (first, few), (last, many) = middle[0], middle[-1]
    if many <= few:
        raise SystemExit(f"{count} videos are too few to tell a rate")
    rate = (many - few) / (last - first)
    return rate, first - few / rate


def _cpu(servers: Servers) -> float:
    return sum(cpu_seconds(root) for root in servers.roots)


def _busy_seconds() -> float:
    """CPU time of this machine since it started."""
    fields = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS_PER_SECOND
