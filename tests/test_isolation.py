"""The decoder process: if it dies or hangs, the next request gets another one."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixtures.bombs import bomb
from fixtures.synthetic import encode
from tests.processes import alive, descendants, kill_when_busy
from tests.waiting import wait_for
from video import DecoderFailed, InvalidParameter, InvalidVideo, IsolatedDecoder, Limits
from video.errors import Reason
from video.isolation import End

VIDEO = encode(30)


@pytest.fixture(scope="module")
def large_video() -> bytes:
    """5 s of 1080p, which take a moment to decode."""
    return bomb(1920, 1080, 125)


def started() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits())
    made.start()
    made.plan(memoryview(VIDEO), {})  # up and running
    yield made
    made.close()


@pytest.fixture(scope="module")
def lasting() -> Iterator[IsolatedDecoder]:
    """A decoder whose worker lives on, whatever it is asked."""
    for decoder in started():
        worker = worker_of(decoder)
        yield decoder
        assert (worker_of(decoder), decoder.restarts) == (worker, {})


@pytest.fixture
def decoder() -> Iterator[IsolatedDecoder]:
    """A decoder whose worker the test may kill."""
    yield from started()


def worker_of(decoder: IsolatedDecoder) -> int:
    assert decoder._process is not None
    return decoder._process.pid


def orders_of(plan: dict[str, Any]) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.int_]]:
    """The frames of a plan and its two orders, as `IsolatedDecoder.decode` takes them."""
    return np.array(plan["frame_indices"]), np.array(plan["motion_order"]), np.array(plan["camera_order"])


def test_clips_come_back_as_decoded(lasting: IsolatedDecoder) -> None:
    plan = lasting.plan(memoryview(VIDEO), {"max_frames": 1})
    orders, before = orders_of(plan), lasting.frames_decoded
    motion, camera, *_ = lasting.decode(memoryview(VIDEO), *orders, 224)
    assert 16 <= lasting.frames_decoded - before <= 30
    assert motion.shape == (1, 16, 224, 224, 3)
    assert camera.shape == (1, 16, 224, 224, 3)
    assert motion.std() > 10
    assert camera.std() > 10


def test_a_bad_file_leaves_the_worker_alive(lasting: IsolatedDecoder) -> None:
    worker = worker_of(lasting)
    with pytest.raises(InvalidVideo, match="the file is empty"):
        lasting.plan(memoryview(b""), {})
    lasting.plan(memoryview(VIDEO), {})
    assert worker_of(lasting) == worker


def test_a_request_that_fails_leaves_no_file_open(lasting: IsolatedDecoder) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{worker_of(lasting)}/fd").iterdir()))

    before = open_files()
    orders = np.array([5000]), np.zeros(16, int), np.zeros(16, int)
    for _ in range(5):
        with pytest.raises(InvalidVideo):
            lasting.plan(memoryview(b"text"), {})
        with pytest.raises(InvalidParameter):
            lasting.plan(memoryview(VIDEO), {"start_seconds": 99})
        with pytest.raises(InvalidVideo):
            lasting.decode(memoryview(b"text"), *orders, 224)
    assert open_files() == before


def test_a_file_that_fails_while_decoding_is_invalid(lasting: IsolatedDecoder) -> None:
    video = bytearray(encode(30, codec="mjpeg", container="mov"))
    start = video.index(b"mdat") + 4
    end = video.index(b"moov") - 4
    middle = (start + end) // 2
    video[middle:end] = bytes(end - middle)
    orders = np.array([2, 27]), np.zeros(16, int), np.zeros(0, int)
    before = lasting.frames_decoded
    with pytest.raises(InvalidVideo, match="frame 27 of 30 cannot be decoded: the file is damaged"):
        lasting.decode(memoryview(bytes(video)), *orders, 224)
    assert lasting.frames_decoded - before > 2  # the work was done, and is counted


@pytest.mark.parametrize(
    ("motion", "camera", "message"),
    [
        (np.zeros(17, int), np.zeros(16, int), "17 positions; their number must be a multiple of 16, at most 512"),
        (np.zeros(16, int), np.zeros(528, int), "an order has 528 positions"),
        (np.full(16, 1), np.zeros(16, int), "an order has positions outside the 1 frames to decode"),
        (np.zeros(16, int), np.full(16, -1), "an order has positions outside the 1 frames to decode"),
    ],
)
def test_impossible_orders_are_refused(
    motion: NDArray[np.int_], camera: NDArray[np.int_], message: str, lasting: IsolatedDecoder
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        lasting.decode(memoryview(VIDEO), np.array([0]), motion, camera, 224)


@pytest.mark.parametrize("value", ["x" * 300_000, "é\x01" * 40_000])
def test_a_very_long_parameter_gives_a_short_error(value: str, lasting: IsolatedDecoder) -> None:
    worker = worker_of(lasting)
    for parameters in ({"fps": value}, {value: 1}):
        with pytest.raises(InvalidParameter) as raised:
            lasting.plan(memoryview(VIDEO), parameters)
        assert len(str(raised.value)) < 400
    assert worker_of(lasting) == worker


@pytest.mark.heavy
def test_a_worker_that_needs_too_much_memory_costs_that_request(decoder: IsolatedDecoder, large_video: bytes) -> None:
    video = memoryview(large_video)
    plan = decoder.plan(video, {"fps": 25})
    orders = orders_of(plan)
    pages = int(Path(f"/proc/{worker_of(decoder)}/statm").read_text().split()[0])
    # Enough for a request, but not for a frame of 6 MB.
    limit = pages * resource.getpagesize() + (4 << 20)
    resource.prlimit(worker_of(decoder), resource.RLIMIT_AS, (limit, limit))
    with pytest.raises(InvalidVideo, match="decoding the video needs more than 8 GiB"):
        decoder.decode(video, *orders, 224)
    decoder.close()
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30


@pytest.mark.heavy
def test_a_worker_that_dies_before_it_takes_a_request_is_replaced_unnoticed(decoder: IsolatedDecoder) -> None:
    os.kill(worker_of(decoder), signal.SIGKILL)
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30
    worker = worker_of(decoder)
    os.kill(worker, signal.SIGSTOP)  # it dies before it acknowledges the request
    threading.Timer(0.3, os.kill, (worker, signal.SIGKILL)).start()
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30
    assert decoder.restarts == {End.KILLED: 2}


@pytest.mark.heavy
def test_a_worker_that_dies_on_a_request_costs_that_request(decoder: IsolatedDecoder, large_video: bytes) -> None:
    video = memoryview(large_video)
    plan = decoder.plan(video, {"fps": 25})
    orders = orders_of(plan)
    killer = threading.Thread(target=kill_when_busy, args=([worker_of(decoder)], signal.SIGSEGV))
    killer.start()
    with pytest.raises(DecoderFailed, match="the decoder process was killed by SIGSEGV") as raised:
        decoder.decode(video, *orders, 224)
    killer.join()
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30
    assert raised.value.reason is Reason.WORKER_DIED
    assert decoder.restarts == {End.CRASHED: 1}


@pytest.mark.heavy
def test_a_worker_that_hangs_is_killed_in_time(decoder: IsolatedDecoder) -> None:
    worker = worker_of(decoder)
    os.kill(worker, signal.SIGSTOP)
    decoder.limits = Limits(timeout_seconds=0.5)
    with pytest.raises(DecoderFailed, match=r"reading the video took longer than 0\.5 s") as raised:
        decoder.plan(memoryview(VIDEO), {})
    assert not alive(worker)
    decoder.limits = Limits()
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30
    assert raised.value.reason is Reason.TIMED_OUT
    assert decoder.restarts == {End.TIMED_OUT: 1}


def test_no_worker_outlives_its_parent() -> None:
    program = (
        "import contextlib, time; from video import InvalidVideo, IsolatedDecoder, Limits\n"
        "d = IsolatedDecoder(Limits())\n"
        "with contextlib.suppress(InvalidVideo):\n"
        "    d.plan(memoryview(b'text'), {})\n"
        "print(flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()  # the worker has answered, so it has already asked to die with its parent
        children = descendants(parent.pid)
        assert children
        parent.kill()
    wait_for(lambda: not any(map(alive, children)), seconds=5)
