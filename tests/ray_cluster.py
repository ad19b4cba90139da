"""What the tests of Ray run in a process of its own, which starts one cluster and does nothing else.

An execution that outlives its cluster starts another one when it cancels its tasks, in whatever process that is.
"""

import os
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from client.ray import score
from fixtures.fake_server import content
from tests.waiting import wait_for
from video.processes import command_line, descendants

SECONDS = 300
"""A cluster takes seconds to start; on a busy machine, many."""
ENVIRONMENT = {
    # 15 otherwise, and no more than a minute to start: little on a busy machine.
    "RAY_worker_niceness": "0",
    "RAY_worker_register_timeout_seconds": "240",
    # Ray starts a worker for each CPU otherwise, and waits for all of them.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""For every process that starts a cluster."""


@contextmanager
def cluster() -> Iterator[ProcessPoolExecutor]:
    """A process with a cluster of one node; what is submitted to it runs there, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start)
        driver = pool.submit(os.getpid).result(SECONDS)
    try:
        yield pool
    finally:
        with suppress(Exception):
            pool.submit(_stop).result(60)
        with suppress(ProcessLookupError):
            os.kill(driver, signal.SIGKILL)
        pool.shutdown()
        wait_for(lambda: not ray_processes(os.getpid()))


def ray_processes(root: int) -> list[int]:
    """The nodes of Ray below the process `root`."""
    return [process.pid for process in descendants(root) if "raylet" in " ".join(command_line(process.pid))]


def _start() -> None:
    import ray

    # 4 CPUs, as far as Ray knows: for an actor, and for tasks that read and cut blocks.
    ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    ray.data.DataContext.get_current().enable_progress_bars = False


def _stop() -> None:
    import ray

    ray.shutdown()


def write_scores(table: pa.Table, urls: list[str], folder: Path, options: dict[str, Any]) -> None:
    """Score the videos of a table into Parquet files."""
    _scores(table, urls, options).write_parquet(str(folder))


def scored_rows(table: pa.Table, urls: list[str], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the scores of the videos of a table."""
    rows: list[dict[str, Any]] = _scores(table, urls, options).take_all()
    return rows


def failure_of(table: pa.Table, urls: list[str], options: dict[str, Any]) -> str:
    """What Ray says of an execution that fails."""
    import ray

    try:
        _scores(table, urls, options).take_all()
    except ray.exceptions.RayTaskError as error:
        return str(error)
    return ""


def warnings_of(table: pa.Table, urls: list[str], options: dict[str, Any]) -> list[str]:
    """What is warned of before an execution."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _scores(table, urls, options)
    return [str(one.message) for one in caught if one.category is UserWarning]


def score_large_videos(count: int, url: str, read: Path) -> int:
    """Score videos of a MiB each, for each of which the reading adds a character to a file; returns the rows."""
    import ray

    def note(row: dict[str, Any]) -> dict[str, Any]:
        with read.open("a") as file:
            file.write("x")
        return {"data": content(int(row["id"])) + b" " * 2**20}

    dataset = ray.data.range(count, override_num_blocks=count).map(note)
    return int(score(dataset, url, column="data", rows_per_block=4, in_flight=4).materialize().count())


def _scores(table: pa.Table, urls: list[str], options: dict[str, Any]) -> Any:
    import ray

    return score(ray.data.from_arrow(table), urls, **options)
