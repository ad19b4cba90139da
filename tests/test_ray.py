"""Scoring on Ray itself, against servers in other processes: datasets, the command, dead nodes and dead servers.

`make test-ray` installs Ray and runs them. Without Ray they fail, and are not skipped. Each cluster has a process of
its own: that of pytest starts none.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from client.errors import ServerAway
from client.table import read_metadata, read_table
from fixtures.fake_server import FakeServer, content, fake_server
from tests.ray_cluster import (
    ENVIRONMENT,
    SECONDS,
    cluster,
    failure_of,
    ray_processes,
    score_large_videos,
    scored_rows,
    warnings_of,
    write_scores,
)
from tests.waiting import wait_for
from video.processes import command_line, descendants

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def ray() -> Iterator[ProcessPoolExecutor]:
    """A process with a cluster, for the tests that score datasets."""
    with cluster() as pool:
        yield pool


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[FakeServer, FakeServer]]:
    with (
        fake_server(tmp_path / "one", "--seconds", 0.05) as one,
        fake_server(tmp_path / "two", "--seconds", 0.05) as two,
    ):
        yield one, two


def write(folder: Path, count: int, broken: int = 7) -> list[str]:
    """So many videos, of which one is broken; their paths."""
    folder.mkdir()
    paths = [folder / f"{number:05}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(b"broken" if number == broken else content(number))
    return [str(path) for path in paths]


def assert_one_row_each(table: pa.Table, paths: list[str], broken: int = 7) -> None:
    assert Counter(table.column("video").to_pylist()) == Counter(paths)
    rows = {row["video"]: row for row in table.to_pylist()}
    numbers = {paths.index(path): row["camera_movement_score"] for path, row in rows.items() if not row["error"]}
    assert numbers == {number: number for number in range(len(paths)) if number != broken}
    failed = rows[paths[broken]]
    assert (failed["error"], failed["error_kind"], failed["reason"]) == (
        "the file is not a video",
        "InvalidRequest",
        "not_a_video",
    )


def urls(servers: tuple[FakeServer, ...]) -> list[str]:
    return [server.url for server in servers]


def files(count: int) -> pa.Table:
    """So many encoded files."""
    return pa.table({"data": [content(number) for number in range(count)], "name": [f"v{n}" for n in range(count)]})


def test_a_dataset_of_paths_becomes_one_of_scores(
    ray: ProcessPoolExecutor, two_servers: tuple[FakeServer, FakeServer], tmp_path: Path
) -> None:
    paths = write(tmp_path / "videos", 300)
    dataset = pa.table({"path": paths, "id": range(300)})
    options = {"keep": ["id"], "in_flight": 24, "max_clips": 4}
    ray.submit(write_scores, dataset, urls(two_servers), tmp_path / "scores", options).result(SECONDS)
    written = sorted((tmp_path / "scores").glob("*.parquet"))
    assert len(written) == 5  # 300 videos in blocks of 64, whatever blocks the dataset had
    assert {read_metadata(file).labels for file in written} == {("left", "right")}
    assert read_metadata(written[0]).parameters == {"max_clips": 4}
    table = pa.concat_tables([read_table(file) for file in written])
    assert_one_row_each(table, paths)
    ids = pa.concat_tables([parquet.read_table(file) for file in written]).select(["video", "id"]).to_pylist()
    assert {row["id"]: row["video"] for row in ids} == dict(enumerate(paths))
    # One actor kept both servers at work, and no video was sent twice.
    assert [server.most_in_flight > 8 for server in two_servers] == [True, True]
    assert sorted(number for server in two_servers for number in server.asked("end")) == [
        number for number in range(300) if number != 7
    ]


def test_a_dataset_of_encoded_files_is_scored_without_files(
    ray: ProcessPoolExecutor, two_servers: tuple[FakeServer, ...]
) -> None:
    options = {"column": "data", "name": "name"}
    rows = ray.submit(scored_rows, files(100), urls(two_servers), options).result(SECONDS)
    assert {row["video"]: row["camera_movement_score"] for row in rows} == {
        f"v{number}": number for number in range(100)
    }


def test_what_is_wrong_with_a_dataset_is_named(ray: ProcessPoolExecutor, two_servers: tuple[FakeServer, ...]) -> None:
    said = ray.submit(failure_of, pa.table({"file": ["a.mp4"]}), urls(two_servers), {}).result(SECONDS)
    assert "the dataset has no column 'path'; it has file" in said


def test_actors_that_leave_no_cpu_for_reading_are_warned_of(
    ray: ProcessPoolExecutor, two_servers: tuple[FakeServer, ...]
) -> None:
    for concurrency, count in ((4, 1), (3, 0)):  # the cluster has 4 CPUs
        options = {"column": "data", "concurrency": concurrency}
        said = ray.submit(warnings_of, files(1), urls(two_servers), options).result(SECONDS)
        assert len([one for one in said if "none is left to read the dataset with" in one]) == count, said


def test_servers_with_other_weights_end_the_execution(ray: ProcessPoolExecutor, tmp_path: Path) -> None:
    with fake_server(tmp_path / "one") as one, fake_server(tmp_path / "two", "--motion", "c@3") as two:
        said = ray.submit(failure_of, files(100), [one.url, two.url], {"column": "data"}).result(SECONDS)
    assert "a server has other weights than the first" in said


def test_no_server_is_an_error_before_anything_runs(ray: ProcessPoolExecutor) -> None:
    with pytest.raises(ServerAway, match="no server answers at localhost:1"):
        ray.submit(scored_rows, files(1), ["localhost:1"], {"column": "data"}).result(SECONDS)


def test_full_queues_hold_back_the_reading(ray: ProcessPoolExecutor, tmp_path: Path) -> None:
    """Of 240 MB, no more is read than the memory for objects has room for, as long as the servers take nothing."""
    read = tmp_path / "read"
    read.touch()
    with fake_server(tmp_path / "notes", "--queue", 2, "--seconds", 600) as server:
        rows = ray.submit(score_large_videos, 240, server.url, read)
        wait_for(lambda: len(server.asked("full")) > 5, SECONDS)
        assert server.most_in_flight == 2
        last, since = -1, time.monotonic()

        def quiet() -> bool:  # nothing was read for 5 seconds
            nonlocal last, since
            if read.stat().st_size != last:
                last, since = read.stat().st_size, time.monotonic()
            return time.monotonic() - since > 5

        wait_for(quiet, SECONDS)
        assert 0 < last < 120
        server.process.kill()
        server.process.wait()
    with fake_server(tmp_path / "notes", "--port", server.url.rpartition(":")[2]):
        assert rows.result(SECONDS) == 240
    assert read.stat().st_size >= 240


def start_command(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "client.score", *map(str, arguments)]
    environment = os.environ | ENVIRONMENT
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_command_gives_the_same_table_and_a_killed_run_goes_on(
    two_servers: tuple[FakeServer, FakeServer], tmp_path: Path
) -> None:
    paths = write(tmp_path / "videos", 600)
    servers = [argument for url in urls(two_servers) for argument in ("--url", url)]
    output = tmp_path / "ray.parquet"
    arguments = (tmp_path / "videos", *servers, "--engine", "ray", "--in-flight", 8, "--output", output)
    journal = tmp_path / "ray.parquet.journal-wal"
    with start_command(*arguments) as first:
        # 64 KiB are more than the beginning of a journal, and fewer than all rows.
        wait_for(lambda: journal.exists() and journal.stat().st_size > 65536, SECONDS)
        children = [process.pid for process in descendants(first.pid)]
        assert ray_processes(first.pid)
        first.kill()
        assert first.wait() == -signal.SIGKILL
    wait_for(lambda: not any("MapWorker" in " ".join(command_line(pid)) for pid in children), SECONDS)
    before = [number for server in two_servers for number in server.asked("end")]
    assert 0 < len(before) < 599
    with start_command(*arguments) as second:
        _, errors = second.communicate(timeout=SECONDS)
    assert second.returncode == 1  # one video is broken
    assert "600 videos, 1 failed" in errors
    assert_one_row_each(read_table(output), paths)
    asked = Counter(number for server in two_servers for number in server.asked("end"))
    assert max(asked.values()) <= 2  # what was in the journal was not asked again:
    assert sum(asked.values()) < 599 + len(before)
    with start_command(tmp_path / "videos", *servers, "--output", tmp_path / "local.parquet") as local:
        local.communicate(timeout=SECONDS)
    ours, theirs = (read_table(tmp_path / name).sort_by("video") for name in ("ray.parquet", "local.parquet"))
    assert ours.equals(theirs, check_metadata=True)


def test_a_command_without_a_cluster_says_so(two_servers: tuple[FakeServer, ...], tmp_path: Path) -> None:
    paths = write(tmp_path / "videos", 10)
    output = tmp_path / "scores.csv"
    arguments = (paths[0], "--url", two_servers[0].url, "--output", output, "--engine", "ray")
    with start_command(*arguments, "--ray-address", "localhost:1") as command:
        _, errors = command.communicate(timeout=SECONDS)
    assert command.returncode == 1
    assert "no Ray cluster at localhost:1" in errors
    assert "Traceback" not in errors


def test_a_dead_node_and_a_dead_server_lose_no_row_and_double_none(tmp_path: Path) -> None:
    paths = write(tmp_path / "videos", 800)
    command = (sys.executable, "-m", "tests.ray_losses", str(tmp_path))
    environment = os.environ | ENVIRONMENT
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2 * SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert_one_row_each(parquet.read_table(tmp_path / "scores.parquet"), paths)
