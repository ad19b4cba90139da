"""Many videos into one table: broken videos, killed and interrupted runs, servers that go down."""

import asyncio
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tritonclient import grpc

from client import AsyncClient, Client, InvalidRequest, ServerUnavailable
from client._tables.table import Metadata, read_table
from fixtures.synthetic import encode
from server import Server, Settings, running
from tests.test_serve import drain, serving

VIDEOS = 48
BROKEN = {7: b"", 23: b"not a video\n", 41: encode(25)[:1500]}
"""Broken videos by index."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    good = encode(50)
    for index in range(VIDEOS):
        (folder / f"{index:03}.mp4").write_bytes(BROKEN.get(index, good))
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "client.score", *map(str, arguments)]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, **options)


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def requests(url: str) -> int:
    """Number of requests that a server was given."""
    with grpc.InferenceServerClient(url) as triton:
        stats = triton.get_inference_statistics("video_sampling").model_stats[0].inference_stats
        return stats.success.count + stats.fail.count


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not come to pass"
        time.sleep(0.002)


def written(path: Path) -> int:
    """Size of a run's journal in bytes: the progress of the run, whatever the format."""
    files = (path.with_name(f"{path.name}.journal{suffix}") for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def assert_whole(path: Path, folder: Path) -> None:
    table = read_table(path).to_pylist()
    assert Counter(row["video"] for row in table) == Counter(str(folder / f"{index:03}.mp4") for index in range(VIDEOS))
    failures = {Path(row["video"]).name: row for row in table if row["error"]}
    assert {name: (row["error_kind"], row["reason"]) for name, row in failures.items()} == {
        "007.mp4": ("InvalidRequest", "empty"),
        "023.mp4": ("InvalidRequest", "not_a_video"),
        "041.mp4": ("InvalidRequest", "truncated"),
    }
    assert failures["007.mp4"]["error"] == "the file is empty"
    assert "not a video in a supported container" in failures["023.mp4"]["error"]
    assert re.fullmatch(r"the file is truncated: \d+ bytes are missing at its end", failures["041.mp4"]["error"])
    good = [row for row in table if not row["error"]]
    assert all(row["frames"] == 50 and len(row["clips"]) == 1 for row in good)


@pytest.fixture(scope="module")
def looked_after(small_repository: Path) -> Iterator[str]:
    """The address of a server that restarts if it crashes when a client is killed."""
    settings = Settings.on_free_ports(small_repository, precision="f32")
    with serving(settings) as supervisor:
        drain(supervisor.stdout)
        yield f"localhost:{settings.grpc_port}"


@pytest.mark.parametrize("suffix", [".parquet", pytest.param(".jsonl", marks=pytest.mark.slow)])
def test_a_killed_run_resumes_and_no_video_is_lost_or_there_twice(
    suffix: str, looked_after: str, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"scores{suffix}"
    arguments = (folder, "--output", output, "--url", looked_after, "--max-clips", 1, "--in-flight", 3)
    with start(*arguments) as first:
        wait_for(lambda: written(output) > 250_000)
        first.kill()
        assert first.wait() == -signal.SIGKILL
    before = output.read_text().rpartition("\n")[0] if suffix == ".jsonl" else ""
    assert before.count("\n") > 5 or suffix == ".parquet"
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"{output}: 48 videos, 3 failed (retry them with --retry-failed)"
    assert_whole(output, folder)
    assert output.read_bytes().startswith(before.encode())  # those videos are not scored again
    if suffix == ".parquet":
        metadata = Metadata.of(read_table(output))
        assert metadata.parameters == {"max_clips": 1}
        assert metadata.weights["precision"] == "f32"
        assert len(metadata.labels) == 21
    nothing_to_do = run(*arguments)
    assert nothing_to_do.returncode == 1
    assert len(nothing_to_do.stderr.splitlines()) == 1
    assert_whole(output, folder)


@pytest.mark.slow
def test_an_interrupted_run_writes_its_table_and_resumes(server: Server, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    arguments = (folder, "--output", output, "--url", server.url, "--max-clips", 1)
    with start(*arguments) as first:
        wait_for(lambda: written(output) > 250_000)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=60)
        assert first.returncode == 130
    assert "finishing the videos in flight" in said
    assert said.endswith("run the same command again to resume\n")
    assert 0 < read_table(output).num_rows < VIDEOS
    assert run(*arguments).returncode == 1
    assert_whole(output, folder)


def test_failures_alone_are_tried_again(server: Server, folder: Path, tmp_path: Path) -> None:
    for index in range(5, 9):
        shutil.copy(folder / f"{index:03}.mp4", tmp_path)
    output = tmp_path / "scores.csv"
    common = ("--output", output, "--url", server.url)
    assert run(tmp_path, *common).returncode == 1
    before = requests(server.url)
    (tmp_path / "007.mp4").write_bytes(encode(50))
    (tmp_path / "010.mp4").write_bytes(encode(50))
    result = run(*common, "--retry-failed")
    assert (result.returncode, result.stderr) == (0, f"{output}: 4 videos, 0 failed\n")
    assert requests(server.url) - before == 2  # one for the weights, one for the video
    table = read_table(output)
    assert sorted(table.column("video").to_pylist()) == [str(tmp_path / f"{index:03}.mp4") for index in range(5, 9)]
    assert table.column("error").null_count == 4


def test_what_a_table_was_begun_with_cannot_change(server: Server, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    arguments = (folder / "000.mp4", "--output", output, "--url", server.url)
    assert run(*arguments, "--start", 0.5, "--duration", 1).returncode == 0
    row = json.loads(output.read_text())
    assert row["parameters"] == {"start_seconds": 0.5, "end_seconds": 1.5, "from_first_frame": 1}
    before = output.read_bytes()
    result = run(*arguments)
    assert result.returncode == 2
    assert "was begun with parameters" in result.stderr
    assert output.read_bytes() == before


def test_parts_come_from_a_manifest_or_from_the_command_line_and_not_from_both(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "parts.csv"
    video = folder / "000.mp4"
    manifest.write_text(f"path,start_seconds,end_seconds\n{video},0,1\n{video},1,\n{video},0,1\n")
    common = ("--manifest", manifest, "--url", server.url)
    output = tmp_path / "scores.parquet"
    assert run(*common, "--output", output).returncode == 0
    parts = [(row["start_seconds"], row["end_seconds"], row["frames"]) for row in read_table(output).to_pylist()]
    assert sorted(parts) == [(0.0, 1.0, 50), (1.0, None, 50)]
    result = run(*common, "--output", tmp_path / "other.parquet", "--start", 1)
    assert result.returncode == 2
    assert "both the manifest and the command line select a part of the video" in result.stderr


def test_names_on_standard_input_are_printed_in_their_order(server: Server, folder: Path) -> None:
    names = [str(folder / f"{index:03}.mp4") for index in (3, 7, 1, 2)]
    result = run("-", "--url", server.url, input="\n".join(names))
    assert [json.loads(line)["video"] for line in result.stdout.splitlines()] == [names[0], *names[2:]]
    assert f"{names[1]}: the file is empty" in result.stderr


def test_progress_is_for_terminals(server: Server, folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "00*.mp4", "--output", tmp_path / "scores.jsonl", "--url", server.url)
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 120))
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=follower) as process:
        os.close(follower)
        shown = b"".join(iter(lambda: _read(leader), b"")).decode()
    os.close(leader)
    assert process.returncode == 1
    assert "10/10" in shown
    assert "failed=1" in shown
    assert "videos/s" in shown
    assert str(folder / "007.mp4") + ": the file is empty\r\n" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def kill(server: Server) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


@pytest.mark.slow
def test_a_server_that_is_killed_costs_no_video_while_there_is_another(
    server: Server, small_repository: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores.jsonl"
    before = requests(server.url)
    with running(Settings.on_free_ports(small_repository, precision="f32")) as other:
        urls = ("--url", other.url, "--url", server.url)
        with start(folder, "--output", output, *urls, "--max-clips", 1, "--in-flight", 8) as process:
            wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") > 15)
            assert requests(other.url) > 3
            kill(other)
            process.communicate(timeout=60)
    assert_whole(output, folder)
    assert requests(server.url) - before > 20


@pytest.mark.slow
def test_a_server_that_comes_later_is_taken_and_a_run_stops_where_none_is_left(
    server: Server, small_repository: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores.jsonl"
    arguments = (folder, "--output", output, "--max-clips", 1, "--away", 1)
    settings = Settings.on_free_ports(small_repository, precision="f32")
    url = f"{settings.address}:{settings.grpc_port}"
    video = folder / "000.mp4"
    with Client([url, server.url]) as both:
        expected = both.score(video)
        with running(settings) as other:
            before = requests(url)
            wait_for(lambda: both.score(video) == expected and requests(url) > before)
            with start(*arguments, "--url", url) as process:
                wait_for(lambda: output.exists() and output.read_bytes().count(b"\n") > 10)
                kill(other)
                _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"stopped: no server answers at {url}" in said
    errors = [row["error"] for row in read_table(output).to_pylist() if row["error"]]
    assert all("server" not in error for error in errors)
    assert len(errors) <= 3
    nobody = run(*arguments, "--url", url)
    assert nobody.returncode == 1
    assert "no server answers" in nobody.stderr
    assert run(*arguments, "--url", server.url).returncode == 1
    assert_whole(output, folder)


@pytest.mark.slow
def test_the_client_for_asyncio_says_what_the_other_one_does(server: Server, client: Client, folder: Path) -> None:
    videos = [folder / f"{index:03}.mp4" for index in range(20)]
    expected = client.score(videos[0])

    async def ask() -> list[object]:
        async with AsyncClient(["localhost:9", server.url], max_in_flight=4) as several:
            assert await several.is_ready()
            assert await several.weights() == expected.weights
            return await asyncio.gather(*map(several.score, videos), return_exceptions=True)

    answers = asyncio.run(ask())
    assert [answer for index, answer in enumerate(answers) if index != 7] == [expected] * 19
    assert isinstance(answers[7], InvalidRequest)

    async def ask_nobody() -> None:
        async with AsyncClient("localhost:9") as unconnected:
            assert not await unconnected.is_ready()
            await unconnected.score(videos[0])

    with pytest.raises(ServerUnavailable, match="no server answers at localhost:9"):
        asyncio.run(ask_nobody())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["v.mp4", "--start", "2", "--end", "1"], "--end is 1, it must be after --start, 2"),
        (["v.mp4", "--end", "5", "--duration", "1"], "give --end or --duration, not both"),
        (["v.mp4", "--duration", "0"], "--duration is 0, it must be above 0"),
        (["v.mp4", "--start", "-1"], "--start is -1, it must be at least 0"),
        (["v.mp4", "--start", "nan"], "--start is nan, it must be at least 0"),
        (["v.mp4", "--max-clips", "33"], "--max-clips is 33, it must be from 1 to 32"),
        (["v.mp4", "--in-flight", "0"], "--in-flight is 0, it must be above 0"),
        (["v.mp4", "--away", "-1"], "--away is -1, it must be at least 0"),
        (["--output", "a.csv"], "name a video, a folder, a pattern or a --manifest"),
        (["v.mp4", "--retry-failed"], "--retry-failed needs an --output to take the failures from"),
        (["--retry-failed", "--output", "gone.csv"], "gone.csv: nothing to retry, gone.csv.journal does not exist"),
        (["v.mp4", "--output", "a.csv", "--format", "json"], "--format is for printed scores"),
        (["v.mp4", "--output", "a.xlsx"], "the name of the output must end in .parquet, .jsonl, .csv"),
        (["--manifest", "gone.txt"], "gone.txt: cannot read the manifest: No such file or directory"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_status_2(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
