"""/dev/shm full while the server serves: a request that finds no room is told so, others are answered."""

import contextlib
import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from tritonclient.utils import InferenceServerException

from client import Client, ServerUnavailable
from client.errors import from_triton
from server import Server, Settings, running
from server.preflight import SHARED_MEMORY_BYTES
from tests.synthetic import encode
from tests.test_config import config_of
from video.errors import NoRoom
from video.shared_memory import MOST_BYTES, PROCESSES, check_room

SHORT = encode(50)
LARGE = SHORT + (64 << 20).to_bytes(4, "big") + b"free" + bytes((64 << 20) - 8)
"""The same video in a file of 64 MiB; Triton hands over files by shared memory."""
REGION = "video_motion_1_2_python445a9f81-e9a0-4176-bf21-3757bcb19fac"
SENTENCE = r"the server's shared memory \(/dev/shm, \d+ MiB left\) has no room for this video: ask again later"


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    """Next to no shared memory for `tritonserver` beyond what it has.

    By a limit of the size of files, for which shared memory counts: nothing is mounted, and nobody else has less.
    """
    pid, unlimited = server.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16 << 20, unlimited))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


def test_a_video_that_has_no_room_is_told_so_and_others_are_answered_meanwhile(tiny_repository: Path):
    # A server of its own, which has had no large file yet: Triton keeps what it once had room for.
    with (
        running(Settings.on_free_ports(tiny_repository, precision="f32")) as server,
        Client(server.url, retries=0) as client,
    ):
        expected = client.score(SHORT)
        with full(server), ThreadPoolExecutor() as pool:
            for _ in range(3):
                large = pool.submit(client.score, LARGE)
                assert client.score(SHORT) == expected
                with pytest.raises(ServerUnavailable, match=SENTENCE):
                    large.result()
            assert client.is_ready()
        # There is room again.
        assert client.score(LARGE) == expected
        assert client.score(SHORT) == expected
        assert server.process.poll() is None


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of /dev/shm with 100 MiB left and a pool of this server's."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=100, f_frsize=1 << 20))
    (tmp_path / REGION).touch()
    return tmp_path


def test_clips_have_room_where_the_decoders_and_the_networks_copies_fit(memory: Path):
    check_room(50 << 20, REGION, memory)
    with pytest.raises(NoRoom, match=r"\(.*, 100 MiB left\) has no room for this video: ask again later"):
        check_room((50 << 20) + 1, REGION, memory)


def test_what_a_server_has_taken_for_itself_is_room(memory: Path):
    os.truncate(memory / REGION, MOST_BYTES)
    check_room(150 << 20, REGION, memory)
    (memory / REGION).rename(memory / REGION.replace("video_motion_1", "video_motion_2"))  # another server's
    with pytest.raises(NoRoom):
        check_room(150 << 20, REGION, memory)


@pytest.mark.parametrize("model", ["video_decode", "motion_backbone", "camera_classifier"])
def test_what_a_server_takes_for_clips_is_what_its_processes_can_have(model: str):
    config = config_of(model, "cpu")
    assert sum(group.count for group in config.instance_group) == PROCESSES
    assert MOST_BYTES < SHARED_MEMORY_BYTES


def test_without_a_gate_the_client_says_it():
    error = InferenceServerException(
        "in ensemble 'video_motion', Failed to increase the shared memory pool size for key 'x' to 1048576 bytes.",
        "StatusCode.INTERNAL",
    )
    told = from_triton(error, "here:1")
    assert isinstance(told, ServerUnavailable)
    assert str(told) == "the shared memory of the server at here:1 has no room for this video"
