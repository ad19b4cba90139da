"""Thousands of objects and shards in an S3: kills, injected faults, and the memory of the client."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.fake_server import FakeServer, content, fake_server
from fixtures.shards import write_shard
from tests.object_store import Faults, ObjectStore, object_store
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
OBJECTS = int(os.environ.get("OBJECTS", 1_500))
"""More take minutes."""
SHARDS = 50
MEMBERS = OBJECTS // 125
"""Of each shard."""
VIDEOS = OBJECTS + SHARDS * MEMBERS
FEW = 500
KILLS = 3
SECONDS = 900


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store() as store:
        store.make("data")
        for number in range(OBJECTS):
            store.put("data", f"many/{number % 50:02}/{number:06}.mp4", content(number))
        for number in range(FEW):
            store.put("data", f"few/{number:06}.mp4", content(number))
        path = tmp_path_factory.mktemp("shards") / "shard.tar"
        for shard in range(SHARDS):
            first = OBJECTS + shard * MEMBERS
            write_shard(path, {f"{number:06}.mp4": content(number) for number in range(first, first + MEMBERS)})
            store.put("data", f"shards/{shard:06}.tar", path.read_bytes())
        yield store


@pytest.fixture
def triton(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_server(tmp_path / "notes") as server:
        yield server


def start(store: ObjectStore, triton: FakeServer, named: list[str], table: str, journal: Path) -> subprocess.Popen[str]:
    to = ["--output", f"s3://data/{table}", "--journal", str(journal)]
    command = [sys.executable, "-m", "client.score", *named, *to, "--in-flight", "16", "--url", triton.url]
    environment = os.environ | store.environment
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen[str]) -> None:
    _, said = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, said


def peak_mib(pid: int) -> float:
    """Peak memory of a process so far; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def test_every_object_and_member_has_one_row_after_three_kills_with_faults(
    store: ObjectStore, triton: FakeServer, tmp_path: Path
) -> None:
    named = ["s3://data/many/", f"s3://data/shards/{{000000..{SHARDS - 1:06}}}.tar"]
    store.faults = Faults(refused=0.05, broken=0.02)
    for kill in range(1, KILLS + 1):
        run = start(store, triton, named, "many.jsonl", tmp_path / "many")
        wait_for(lambda kill=kill: len(triton.asked("end")) > VIDEOS * kill // (KILLS + 1), SECONDS)  # type: ignore[misc]
        run.send_signal(signal.SIGKILL)
        run.communicate()
    before = len(triton.asked("end"))
    assert OBJECTS < before < VIDEOS  # the last kill was among the shards
    finish(start(store, triton, named, "many.jsonl", tmp_path / "many"))
    rows = [json.loads(line) for line in (store.get("data", "many.jsonl") or b"").splitlines()]
    expected = {f"s3://data/many/{number % 50:02}/{number:06}.mp4": number for number in range(OBJECTS)}
    for number in range(OBJECTS, VIDEOS):
        expected[f"s3://data/shards/{(number - OBJECTS) // MEMBERS:06}.tar/{number:06}.mp4"] = number
    assert Counter(row["video"] for row in rows) == dict.fromkeys(expected, 1)
    assert all(row["motion"]["camera_movement_score"] == expected[row["video"]] for row in rows)
    # What was in flight at a kill is scored twice, and nothing else.
    asked = len(triton.asked("end"))
    print(f"{VIDEOS:,} videos, {SHARDS * MEMBERS:,} of them in {SHARDS} shards: {asked - VIDEOS} were scored twice")
    assert VIDEOS <= asked <= VIDEOS + KILLS * 16


def test_memory_does_not_grow_with_the_objects(store: ObjectStore, triton: FakeServer, tmp_path: Path) -> None:
    store.faults = Faults()
    peaks = {}
    for prefix in ("few", "many"):
        run = start(store, triton, [f"s3://data/{prefix}/"], f"{prefix}-memory.jsonl", tmp_path / prefix)
        peak = 0.0
        while run.poll() is None:
            peak = max(peak, peak_mib(run.pid))
            try:
                run.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        finish(run)
        peaks[prefix] = peak
    print(f"peak memory: {peaks['few']:.1f} MiB for {FEW} objects, {peaks['many']:.1f} MiB for {OBJECTS}")
    assert peaks["many"] < 1.1 * peaks["few"]
