"""/dev/shm is full: a request that needs more of it fails with a message, others are answered."""

import contextlib
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from client import Client, ServerUnavailable
from client._sdk.triton_errors import from_triton
from fixtures.synthetic import encode
from server import Server, Settings, running
from video.errors import NoRoom
from video.processes import processes_by_model
from video.shared_memory import DIRECTORY, Pool, _pool, check_room

SHORT = encode(50)
LARGE = SHORT + (64 << 20).to_bytes(4, "big") + b"free" + bytes((64 << 20) - 8)
"""The same video in a file of 64 MiB; Triton passes files on in shared memory."""
LONG = encode(200, rate=25)
"""8 camera clips of a second, 18 MiB."""
SENTENCE = r"the server's shared memory \(/dev/shm, \d+ MiB left\) has no room for this video: retry later"


@contextlib.contextmanager
def full(server: Server) -> Iterator[None]:
    """Allow `tritonserver` almost no further shared memory.

    A limit on file sizes does this, because it applies to shared memory too; other processes are not affected.
    """
    pid, unlimited = server.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16 << 20, unlimited))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


def test_a_video_without_room_fails_and_others_are_answered(small_repository: Path) -> None:
    # A server that has had no large file yet, because pools never shrink.
    with (
        running(Settings.on_free_ports(small_repository, precision="f32")) as server,
        Client(server.url, retries=0) as client,
    ):
        expected = client.score(SHORT)
        assert server.proxy is not None
        server.proxy._shared_videos = None  # or Triton would need no room for it
        with full(server), ThreadPoolExecutor() as pool:
            for _ in range(3):
                large = pool.submit(client.score, LARGE)
                assert client.score(SHORT) == expected
                with pytest.raises(ServerUnavailable, match=SENTENCE):
                    large.result()
            assert client.is_ready()
        # With room again, it is answered.
        assert client.score(LARGE) == expected
        assert client.score(SHORT) == expected
        assert len(client.score(LONG, clip_seconds=1.0).camera) == 8
        stubs = processes_by_model(server.process.pid)
        pools = [_pool(pid) for model in ("motion_backbone", "camera_classifier") for pid in stubs[model]]
        # Clips do not pass through the networks' pools.
        assert [pool is not None and pool.size_bytes < 8 * MIB for pool in pools] == [True, True]
        assert not list(DIRECTORY.glob(f"{server._shared_memory_prefix}clips_*"))
        assert server.process.poll() is None


MIB = 1 << 20
NEEDS = {"video_decode": 50 * MIB, "motion_backbone": 30 * MIB, "camera_classifier": 10 * MIB}
MODELS = [*NEEDS, "motion_backbone", "motion_head", "camera_classifier"]


@pytest.mark.parametrize(
    ("sizes", "free", "room"),
    [
        ([1, 1, 1, 1, 1, 1], 93, True),  # each pool grows by its tensors and one piece
        ([1, 1, 1, 1, 1, 1], 92, False),
        ([51, 31, 11, 31, 1, 11], 0, True),  # all have grown before
        ([51, 31, 11, 1, 1, 11], 30, False),  # one has not, and may get the request
        ([51, 31, 11, 1, 1, 11], 31, True),
        ([50, 31, 11, 31, 1, 11], 50, False),  # its free space does not help: it grows by the whole tensor
    ],
)
def test_clips_have_room_if_every_pool_that_may_have_to_grow_can(sizes: list[int], free: int, room: bool) -> None:
    pools = [Pool(model, size * MIB) for model, size in zip(MODELS, sizes, strict=True)]
    if room:
        check_room(NEEDS, pools, free * MIB)
        return
    with pytest.raises(NoRoom, match=SENTENCE):
        check_room(NEEDS, pools, free * MIB)


def test_without_the_proxy_the_client_explains_it() -> None:
    error = InferenceServerException(
        "in ensemble 'video_motion', Failed to increase the shared memory pool size for key 'x' to 1048576 bytes.",
        "StatusCode.INTERNAL",
    )
    told = from_triton(error, "here:1")
    assert isinstance(told, ServerUnavailable)
    assert str(told) == "the shared memory of the server at here:1 has no room for this video"
