"""Clips that go from the decoder to the networks in a file of shared memory."""

import errno
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

import server.proxy
from server.cpu_shares import CpuShares
from server.proxy import INFER
from tests.upstream import Upstream, proxied, upstream
from tests.waiting import wait_for
from video.call_files import new_token
from video.clips import CLIP_SHAPE
from video.cpu_share import CALL
from video.errors import InvalidParameter
from video.shared_clips import CLIP_BYTES, MAGIC, MARK, VARIABLE, SharedClips, token_of
from video.shared_pages import give_back_pages

__all__ = ["upstream"]

TOKENS = [new_token() for _ in range(4)]


def in_shared_memory(clips: int, descriptor: int | None = None) -> NDArray[np.uint8]:
    """Clips in a memfd, each filled with its number from 1 on."""
    opened = os.memfd_create("clips") if descriptor is None else descriptor
    os.ftruncate(opened, clips * CLIP_BYTES)
    memory = np.frombuffer(mmap.mmap(opened, 0), np.uint8).reshape(clips, *CLIP_SHAPE)
    memory[:] = np.arange(1, clips + 1, dtype=np.uint8)[:, None, None, None, None]
    if descriptor is None:
        os.close(opened)
    return memory


@pytest.fixture
def shared(tmp_path: Path) -> SharedClips:
    return SharedClips(f"{tmp_path}/clips_")


def test_clips_come_back_as_written_and_only_small_tensors_stand_for_them(shared: SharedClips) -> None:
    clips = in_shared_memory(7)
    motion, camera = shared.write(TOKENS[3], [clips[:2], clips[2:]])
    assert motion.shape == camera.shape == (1, *CLIP_SHAPE)
    assert shared.read(TOKENS[3], motion)[:, 5, 100, 100, 1].tolist() == [1, 2]
    found = shared.read(TOKENS[3], camera)
    assert (found.shape, found.dtype, found.flags.writeable) == ((5, *CLIP_SHAPE), np.uint8, False)
    assert (found == np.arange(3, 8, dtype=np.uint8)[:, None, None, None, None]).all()


def test_the_decoders_memory_is_free_once_it_is_copied(shared: SharedClips) -> None:
    with open(os.memfd_create("clips"), "r+b") as file:
        clips = in_shared_memory(6, file.fileno())
        assert os.fstat(file.fileno()).st_blocks * 512 == 6 * CLIP_BYTES
        shared.write(TOKENS[0], [clips[:5]])
        assert os.fstat(file.fileno()).st_blocks * 512 == CLIP_BYTES  # what is not handed on stays
        assert (clips[5] == 6).all()


def test_clips_are_handed_on_where_the_kernel_gives_no_pages_back(
    shared: SharedClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("video.shared_clips.give_back_pages", refuse)
    (reference,) = shared.write(TOKENS[0], [in_shared_memory(2)])
    assert shared.read(TOKENS[0], reference)[:, 0, 0, 0, 0].tolist() == [1, 2]


def test_what_nobody_wants_stays_empty(shared: SharedClips) -> None:
    clips = in_shared_memory(1)
    motion, camera = shared.write(TOKENS[0], [clips[:0], clips])
    assert motion.shape == (0, *CLIP_SHAPE)
    assert shared.read(TOKENS[0], camera).shape == (1, *CLIP_SHAPE)


def test_a_tensor_that_is_no_reference_is_taken_as_it_is(shared: SharedClips) -> None:
    for tensor in (in_shared_memory(1), np.ones((4, 768), np.float32), np.frombuffer(MAGIC, np.uint8)):
        assert shared.read(TOKENS[0], tensor) is tensor


def test_the_file_is_for_its_user_only_and_is_removed_with_its_call(shared: SharedClips) -> None:
    clips = in_shared_memory(2)
    (reference,) = shared.write(TOKENS[1], [clips])
    path = shared.path(TOKENS[1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mapped = shared.read(TOKENS[1], reference)
    shared.remove(TOKENS[1])
    shared.remove(TOKENS[1])  # a call that had no file
    assert not path.exists()
    assert mapped[1].mean() == 2  # a network that still computes keeps its clips


def test_the_name_of_a_file_is_no_token(shared: SharedClips) -> None:
    """Every user of the machine can list /dev/shm."""
    (reference,) = shared.write(TOKENS[1], [in_shared_memory(1)])
    listed = shared.path(TOKENS[1]).name.removeprefix("clips_")
    assert TOKENS[1] not in listed
    with pytest.raises(FileNotFoundError):
        shared.read(listed, reference)


def test_a_file_that_an_earlier_call_left_is_replaced(shared: SharedClips) -> None:
    (earlier,) = shared.write(TOKENS[1], [in_shared_memory(3)])
    mapped = shared.read(TOKENS[1], earlier)
    (reference,) = shared.write(TOKENS[1], [in_shared_memory(1)])
    assert shared.read(TOKENS[1], reference).shape == (1, *CLIP_SHAPE)
    assert mapped[2].mean() == 3


@pytest.mark.parametrize("place", ["[0, 3]", "[2, 1]", "[-1, 1]", "[0, 0]", "[0, 1.5]", "[0]", "x"])
def test_a_reference_to_clips_that_are_not_there_is_refused(place: str, shared: SharedClips) -> None:
    (reference,) = shared.write(TOKENS[1], [in_shared_memory(2)])
    content = MAGIC + place.encode()
    reference[:] = 0
    reference.reshape(-1)[: len(content)] = np.frombuffer(content, np.uint8)
    with pytest.raises(ValueError):  # noqa: PT011 - several sentences; the request fails with each
        shared.read(TOKENS[1], reference)


def test_a_call_without_a_file_fails(shared: SharedClips) -> None:
    (reference,) = shared.write(TOKENS[1], [in_shared_memory(1)])
    with pytest.raises(FileNotFoundError):
        shared.read(TOKENS[2], reference)
    for token in ("", "../1", "1", "0" * 31 + "/", shared.path(TOKENS[1]).name):
        with pytest.raises(InvalidParameter, match=r"^triton_clips is .*, which only the server sets: no file has"):
            shared.read(token, reference)


def test_models_learn_from_the_environment_and_from_the_request(shared: SharedClips) -> None:
    found = SharedClips.from_environment(shared.environment)
    assert found is not None
    assert found.path(TOKENS[0]) == shared.path(TOKENS[0])
    assert SharedClips.from_environment({}) is SharedClips.from_environment({VARIABLE: ""}) is None
    assert token_of('{"triton_clips": "4", "fps": 2}') == "4"
    assert token_of("") is token_of('{"fps": 2}') is None


def test_memory_is_given_back_as_what_it_is() -> None:
    private = np.ones(1 << 20, np.uint8)
    with pytest.raises(OSError, match="Invalid argument"):
        give_back_pages(private)
    assert private.all()
    give_back_pages(private, shared=False)
    whole_pages = np.flatnonzero(private == 0)
    assert (1 << 20) - 2 * mmap.PAGESIZE < len(whole_pages) <= 1 << 20
    assert (private.ctypes.data + whole_pages[0]) % mmap.PAGESIZE == 0  # what is beside it is untouched


@pytest.fixture
def infer(upstream: Upstream, shared: SharedClips, tmp_path: Path) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    """Inference through a proxy that lets calls share clips."""
    shares = CpuShares(tmp_path / "shares", 4)
    with proxied(upstream, cpu_shares=shares, shared_clips=shared) as (_, channel):
        yield channel.unary_unary(INFER)


def request_of(model: str, content: bytes = b"") -> bytes:
    return service_pb2.ModelInferRequest(model_name=model, raw_input_contents=[content]).SerializeToString()


@pytest.mark.parametrize("model", ["video_motion", "video_signals"])
def test_a_call_of_an_ensemble_has_a_file_until_it_ends(
    model: str, upstream: Upstream, shared: SharedClips, infer: grpc.UnaryUnaryMultiCallable
) -> None:
    there: list[Path] = []

    def decode() -> None:
        metadata = upstream.calls[-1][1]
        assert metadata[MARK] not in ("x", metadata[CALL])
        shared.write(str(metadata[MARK]), [in_shared_memory(1)])
        there.append(shared.path(str(metadata[MARK])))
        assert there[0].exists()

    upstream.during = decode
    infer(request_of(model), timeout=10, metadata=[(MARK, "x")])
    wait_for(lambda: not there[0].exists())


@pytest.mark.parametrize("model", ["video_decode", "motion_backbone", "video_sampling", "another"])
def test_a_call_of_a_model_gets_its_clips_itself(
    model: str, upstream: Upstream, infer: grpc.UnaryUnaryMultiCallable
) -> None:
    infer(request_of(model), timeout=10, metadata=[(MARK, "0")])
    assert MARK not in upstream.calls[-1][1]


@pytest.mark.parametrize("size", [1000, 8 << 20])
def test_a_video_that_was_sent_on_is_not_kept(
    size: int, upstream: Upstream, infer: grpc.UnaryUnaryMultiCallable, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []

    class Recorded(server.proxy._Request):
        def __init__(self, content: bytes) -> None:
            super().__init__(content)
            requests.append(self)

    monkeypatch.setattr(server.proxy, "_Request", Recorded)
    left: list[bytes] = []
    upstream.during = lambda: left.append(requests[-1].content)
    video = request_of("video_motion", bytes(size))
    assert infer(video, timeout=30) == video
    assert left == [b""]
    assert requests[-1].size == len(video)


def test_a_large_request_that_fails_says_why(upstream: Upstream, infer: grpc.UnaryUnaryMultiCallable) -> None:
    def fail() -> None:
        raise ValueError("the model is not there")

    upstream.during = fail
    with pytest.raises(grpc.RpcError) as raised:
        infer(request_of("video_motion", bytes(8 << 20)), timeout=30)
    assert "the model is not there" in raised.value.details()
