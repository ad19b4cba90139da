"""A real run of `client.score` against servers on this machine, and what it costs."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.many import CACHE, ROOT
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


class Sample(NamedTuple):
    """How far a run is at one moment."""

    seconds: float
    """Since the command."""
    rows: int
    """Of its table."""
    client_cpu_seconds: float = 0.0
    """CPU time of the command, with what it started."""


@dataclass(frozen=True)
class RealRun:
    """What a run did."""

    rows: int
    """Rows of its table."""
    once: bool
    """Whether each video has one row."""
    seconds: float
    """From the command to its end."""
    samples: tuple[Sample, ...]
    """Its course."""
    server_cpu_seconds: float
    """CPU time of the servers."""
    client_cpu_seconds: float
    """CPU time of the command, with what it started."""
    other_cpu_seconds: float
    """CPU time of everything else on this machine meanwhile."""

    @property
    def videos_per_second(self) -> float:
        """Rows a second between the tenth and the last tenth of the rows: without start and end."""
        first, last = self._middle()
        return (last.rows - first.rows) / (last.seconds - first.seconds)

    @property
    def client_cpu_per_video(self) -> float:
        """CPU seconds of the client for each row between the tenth and the last tenth of the rows."""
        first, last = self._middle()
        return (last.client_cpu_seconds - first.client_cpu_seconds) / (last.rows - first.rows)

    @property
    def start_seconds(self) -> float:
        """How much later than the command the run would have begun, had it had that rate from its start."""
        first, _ = self._middle()
        return first.seconds - first.rows / self.videos_per_second

    @property
    def end_seconds(self) -> float:
        """From the last row to the end of the command."""
        return self.seconds - next(at.seconds for at in self.samples if at.rows == self.samples[-1].rows)

    def _middle(self) -> tuple[Sample, Sample]:
        """The samples that first saw a tenth of the rows, and the most rows before the last tenth.

        The first ones: rows come in blocks, and the last sample before a block belongs to that block's time.
        """
        middle = [at for at in self.samples if 0.1 * self.rows <= at.rows <= 0.9 * self.rows]
        if not middle or middle[-1].rows <= middle[0].rows:
            raise SystemExit(f"{self.rows} videos are too few to tell a rate")
        return middle[0], next(at for at in middle if at.rows == middle[-1].rows)


def real_run(folder: Path, servers: Servers, in_flight: int, name: str, engine: Sequence[str] = ()) -> RealRun:
    """Score the videos of a folder into a new table. engine: further arguments of the command.

    Ends the program if the command fails.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    expected = Counter(str(path) for path in folder.rglob("*") if path.is_file())
    output = CACHE / f"scale_{name}.jsonl"
    for left in (output, output.with_name(f"{output.name}.journal")):
        left.unlink(missing_ok=True)
    command = [sys.executable, "-m", "client.score", str(folder), "--output", str(output), "--max-clips", "1"]
    command += [argument for url in servers.urls for argument in ("--url", url)]
    command += ["--in-flight", str(in_flight), *engine]
    served, busy, began = _cpu(servers), _busy_seconds(), time.monotonic()
    samples: list[Sample] = []
    client_cpu, own_cpu = 0.0, time.process_time()
    errors = CACHE / f"scale_{name}.log"  # a line for each video that fails: more than a pipe holds
    with (
        errors.open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        rows = _Rows(output)
        while process.poll() is None:
            client_cpu = max(client_cpu, cpu_seconds(process.pid))
            samples.append(Sample(time.monotonic() - began, rows.count(), client_cpu))
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        samples.append(Sample(seconds, rows.count(), client_cpu))
    if process.returncode not in (0, 1) or rows.count() < expected.total():  # 1: some of the videos are broken
        raise SystemExit(f"the run {name} failed: {errors.read_text()[-2000:]}")
    served = _cpu(servers) - served
    names = Counter(read_table(output).column("video").to_pylist())
    return RealRun(
        rows=names.total(),
        once=names == expected,
        seconds=seconds,
        samples=tuple(samples),
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


def _cpu(servers: Servers) -> float:
    return sum(cpu_seconds(root) for root in servers.roots)


def _busy_seconds() -> float:
    """CPU time of this machine since it started."""
    fields = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS_PER_SECOND
