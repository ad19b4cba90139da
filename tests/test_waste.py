"""What addresses waste: counted by the proxy, forgotten with time, and remembered for a bounded number of them."""

import threading
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from server import waste
from server.cpu_shares import CpuShares
from server.proxy import INFER
from server.waste import HALF_LIFE_SECONDS, WASTEFUL_SECONDS, Waste
from tests.upstream import Upstream, proxied, upstream
from tests.waiting import wait_for

__all__ = ["upstream"]

REQUEST = service_pb2.ModelInferRequest(model_name="video_motion").SerializeToString()


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_half_is_forgotten_in_a_half_life() -> None:
    clock = Clock()
    wasted = Waste(clock)
    wasted.add("x", WASTEFUL_SECONDS)
    assert not wasted.is_wasteful("x")
    wasted.add("x", WASTEFUL_SECONDS)
    assert wasted.is_wasteful("x")
    assert not wasted.is_wasteful("y")
    clock.seconds += HALF_LIFE_SECONDS
    assert wasted.seconds("x") == pytest.approx(WASTEFUL_SECONDS)
    clock.seconds += 1
    assert not wasted.is_wasteful("x")
    wasted.add("x", 1.0)
    assert wasted.seconds("x") == pytest.approx(WASTEFUL_SECONDS * 2 ** (-1 / HALF_LIFE_SECONDS) + 1)


def test_addresses_without_number_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waste, "MAX_ADDRESSES", 100)
    wasted = Waste(Clock())
    wasted.add("worst", 50.0)
    for number in range(1000):
        wasted.add(f"{number}", 1.0)
        assert len(wasted._wasted) <= 100
    assert wasted.seconds("worst") == 50.0


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        ("reading the video took more than 24.0 s of CPU time [busy]", True),
        ("reading the video took longer than 120 s [timed_out]", True),
        ("the file is empty [empty]", False),
        (None, False),
    ],
)
def test_videos_that_take_too_much_count_and_others_do_not(
    upstream: Upstream, message: str | None, counts: bool
) -> None:
    upstream.failure = message
    with proxied(upstream) as (proxy, channel):
        infer = channel.unary_unary(INFER)
        if message is None:
            infer(REQUEST, timeout=10)
        else:
            with pytest.raises(grpc.RpcError, match=r"video|file"):
                infer(REQUEST, timeout=10)
        wait_for(lambda: proxy.queue.in_flight == 0)
        assert bool(proxy.queue.waste._wasted) == counts


def test_a_call_whose_caller_has_gone_counts_until_triton_has_answered(upstream: Upstream, tmp_path: Path) -> None:
    arrived, release = threading.Event(), threading.Event()

    def work() -> None:
        arrived.set()
        release.wait(10)

    upstream.during = work
    shares = CpuShares(tmp_path / "shares", 4)
    with proxied(upstream, cpu_shares=shares) as (proxy, channel):
        call = channel.unary_unary(INFER).future(REQUEST)
        assert arrived.wait(10)
        call.cancel()
        wait_for(lambda: shares._abandoned)
        assert not proxy.queue.waste._wasted
        release.set()
        wait_for(lambda: proxy.queue.in_flight == 0)
        assert all(seconds > 0 for seconds, _ in proxy.queue.waste._wasted.values())
        assert len(proxy.queue.waste._wasted) == 1


def test_a_call_that_ends_with_the_connection_to_triton_is_no_waste_of_its_caller(upstream: Upstream) -> None:
    arrived, release = threading.Event(), threading.Event()

    def work() -> None:
        arrived.set()
        release.wait(10)

    upstream.during = work
    with proxied(upstream) as (proxy, channel):
        call = channel.unary_unary(INFER).future(REQUEST, timeout=10)
        assert arrived.wait(10)
        proxy.change_upstream(upstream.address)
        error = call.exception()
        release.set()
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "tritonserver is being restarted")
        wait_for(lambda: proxy.queue.in_flight == 0)
        assert not proxy.queue.waste._wasted
