"""Each call's share of the decoders' CPU time, and what a video may take with it."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from fixtures.bombs import bomb
from fixtures.synthetic import encode
from server.cpu_shares import CpuShares as Writer
from server.flags import Endpoints, triton_flags
from server.proxy import INFER
from server.settings import Settings
from tests.test_isolation import orders_of
from tests.upstream import Upstream, proxied, upstream
from tests.waiting import wait_for
from video import IsolatedDecoder, Limits
from video.cpu_share import ABANDONED, CALL, SHARE, VARIABLE, CpuShares
from video.errors import Abandoned, Busy, Reason, RequestOutcome
from video.isolation import YIELDING_NICENESS, End

__all__ = ["upstream"]

CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "shares", 4)


@pytest.fixture
def reader(writer: Writer) -> CpuShares:
    return CpuShares.from_environment({VARIABLE: str(writer.path)})


def test_a_caller_that_is_alone_has_everything_for_each_of_its_calls(writer: Writer, reader: CpuShares) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(writer.presence("one"))
            assert reader.of(stack.enter_context(writer.call("one")))() == 1.0
        stack.enter_context(writer.presence("one"))  # a fifth call in the queue changes nothing


def test_a_share_shrinks_with_every_other_caller_and_every_call_of_its_own_while_it_is_answered(
    writer: Writer, reader: CpuShares
) -> None:
    with writer.presence("one"), writer.call("one") as first:
        share = reader.of(first)
        with writer.presence("two"):  # in the queue
            assert share() == 1 / 2
            with writer.presence("two"), writer.presence("three"):
                assert share() == 1 / 3
                with writer.presence("one"), writer.call("one") as second:
                    assert second != first
                    assert [share(), reader.of(second)()] == [1 / 6, 1 / 6]
                with writer.call("two") as third:
                    assert [share(), reader.of(third)()] == [1 / 3, 1 / 3]
            assert share() == 1 / 2
        assert share() == 1.0


def test_connections_without_number_leave_another_address_its_share(writer: Writer, reader: CpuShares) -> None:
    with writer.presence("one", "x"), writer.call("one", "x") as good, ExitStack() as stack:
        for number in range(20):
            stack.enter_context(writer.presence(f"caller {number}", "y"))
        theirs = stack.enter_context(writer.call("caller 0", "y"))
        assert [reader.of(good)(), reader.of(theirs)()] == [1 / 2, 1 / 40]


def test_a_number_is_used_again(writer: Writer, reader: CpuShares) -> None:
    for _ in range(10):
        with writer.presence("one"), writer.call("one") as number:
            assert reader.of(str(number))() == 1.0
            assert 0 <= number < 4


def test_a_call_of_a_wasteful_address_has_the_least_share_while_others_are_there(
    writer: Writer, reader: CpuShares
) -> None:
    wasteful = False
    with writer.presence("a", "x"), writer.call("a", "x", lambda: wasteful) as number:
        wasteful = True
        with writer.presence("b", "y"):
            assert reader.of(number)() == 0.0
            wasteful = False
            with writer.presence("c", "y"):
                assert reader.of(number)() == 1 / 2
            wasteful = True
        assert reader.of(number)() == 1.0  # nobody else is there


def test_callers_of_one_address_share_evenly_although_one_of_them_made_it_wasteful(
    writer: Writer, reader: CpuShares
) -> None:
    with ExitStack() as stack:  # as behind a balancer, through which all callers come
        shares = []
        for caller in ("a", "b"):
            stack.enter_context(writer.presence(caller, "x"))
            shares.append(reader.of(stack.enter_context(writer.call(caller, "x", lambda: True))))
        assert [share() for share in shares] == [1 / 2, 1 / 2]
        with writer.presence("c", "y"):
            assert [share() for share in shares] == [0.0, 0.0]
        assert [share() for share in shares] == [1 / 2, 1 / 2]


def test_an_abandoned_call_has_no_share_and_takes_none_from_the_others(writer: Writer, reader: CpuShares) -> None:
    with writer.presence("one"), writer.call("one") as kept:
        with writer.presence("one"), writer.presence("two"), writer.call("one") as left:
            writer.abandon(left)
            assert [reader.of(left)(), reader.of(kept)()] == [ABANDONED, 1 / 2]
        assert reader.of(kept)() == 1.0
        with writer.presence("two"), writer.call("two") as again:
            assert again == left
            assert reader.of(again)() == 1 / 2


@pytest.mark.parametrize("call", [None, "4", "-1", "x", "", "²", 10**30, 1.0])
def test_without_a_valid_number_a_share_is_whole(call: object, writer: Writer, reader: CpuShares) -> None:
    with writer.presence("one"), writer.presence("two"), writer.call("one"):
        assert reader.of(call)() == 1.0
        assert CpuShares.from_environment({}).of("0")() == 1.0


def test_the_file_is_for_its_user_only_and_goes_with_the_server(writer: Writer) -> None:
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600
    assert writer.path.stat().st_size == 4 * SHARE.size
    again = Writer(writer.path, 4)  # what a killed server left is replaced
    again.close()
    assert not writer.path.exists()
    with pytest.raises(FileNotFoundError):
        CpuShares.from_environment({VARIABLE: str(writer.path)})


@pytest.mark.parametrize(
    ("megabytes", "share", "seconds"),
    [
        (0.2, 1.0, 100 * CORES),  # alone: all cores until the timeout
        (0.2, 0.5, 50 * CORES),
        (0.2, 0.0, 10.8),
        (10, 0.0, 50),
        (10_000, 0.0, 100 * CORES),  # a large file has earned everything
    ],
)
def test_a_small_file_gets_little_when_others_are_there(megabytes: float, share: float, seconds: float) -> None:
    assert Limits(timeout_seconds=100).cpu_seconds(int(megabytes * 1e6), share) == pytest.approx(seconds)


@pytest.fixture
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=60, busy_cpu_seconds=0.2, busy_cpu_seconds_per_megabyte=1e-6))
    made.start()
    yield made
    made.close()


@pytest.mark.heavy
def test_a_decoder_is_stopped_as_soon_as_others_want_it(decoder: IsolatedDecoder) -> None:
    video = memoryview(bomb(1920, 1080, 6000))
    plan = decoder.plan(video, {})
    looks = []

    def share() -> float:
        looks.append(1)
        return 1.0 if len(looks) < 3 else 0.0

    with pytest.raises(Busy, match=r"^reading the video took more than 0\.2 s of CPU time, its share while") as raised:
        decoder.decode(video, *orders_of(plan), 224, share=share)
    assert len(looks) >= 3  # it went on while its share was whole
    assert raised.value.reason is Reason.BUSY
    assert raised.value.reason.outcome is RequestOutcome.FAILED
    good = memoryview(encode(30))
    assert decoder.plan(good, {})["info"][1] == 30
    assert decoder.restarts == {End.TIMED_OUT: 1}


@pytest.mark.heavy
def test_a_slow_video_yields_to_others_and_the_next_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("video.isolation.YIELDING_SHARE", 0.02)
    decoder = IsolatedDecoder(Limits(timeout_seconds=60, busy_cpu_seconds=40, busy_cpu_seconds_per_megabyte=1e-6))
    decoder.start()
    video = memoryview(bomb(1920, 1080, 400))
    plan = decoder.plan(video, {})
    priorities: list[list[int]] = []
    usual = os.getpriority(os.PRIO_PROCESS, 0)

    def share() -> float:
        assert decoder._process is not None
        threads = [int(thread) for thread in os.listdir(f"/proc/{decoder._process.pid}/task")]
        priorities.append([os.getpriority(os.PRIO_PROCESS, thread) for thread in threads])
        return 0.0

    try:
        decoder.decode(video, *orders_of(plan), 224, share=share)
        assert set(priorities[0]) == {usual}
        assert set(priorities[-1]) == {usual + YIELDING_NICENESS}
        priorities.clear()
        decoder.plan(memoryview(encode(30)), {}, share=share)
        assert set(priorities[-1]) == {usual}
    finally:
        decoder.close()
    assert not decoder.restarts


@pytest.mark.heavy
def test_a_worker_stops_soon_after_its_caller_has_gone() -> None:
    decoder = IsolatedDecoder(Limits(timeout_seconds=60))
    video = memoryview(bomb(1920, 1080, 6000))
    plan = decoder.plan(video, {})
    looks = []

    def share() -> float:
        looks.append(1)
        return 1.0 if len(looks) < 3 else ABANDONED

    try:
        with pytest.raises(Abandoned) as raised:
            decoder.decode(video, *orders_of(plan), 224, share=share)
        assert raised.value.reason.outcome is RequestOutcome.ABANDONED
        assert decoder.plan(memoryview(encode(30)), {})["info"][1] == 30
    finally:
        decoder.close()
    assert decoder.restarts == {End.ABANDONED: 1}


def test_a_video_whose_caller_has_gone_before_is_not_read(decoder: IsolatedDecoder) -> None:
    video = memoryview(encode(30))
    plan = decoder.plan(video, {})
    for work in (
        lambda: decoder.plan(video, {}, share=lambda: ABANDONED),
        lambda: decoder.decode(video, *orders_of(plan), 224, share=lambda: ABANDONED),
    ):
        with pytest.raises(Abandoned):
            work()
    assert decoder.frames_decoded == 0
    assert not decoder.restarts


def test_what_was_decoded_for_a_caller_that_has_gone_is_not_passed_on(
    decoder: IsolatedDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video.isolation.LOOK_SECONDS", 0.005)  # so that its share is used up before the answer
    decoder.limits = replace(decoder.limits, busy_cpu_seconds=0.001)
    video = memoryview(encode(30))
    plan = decoder.plan(video, {})
    shares = iter([1.0, ABANDONED])  # it goes while the video is decoded
    with pytest.raises(Abandoned):
        decoder.decode(video, *orders_of(plan), 224, share=lambda: next(shares, ABANDONED))
    assert decoder.frames_decoded > 0
    assert not decoder.restarts


def test_the_proxy_tells_the_models_that_a_caller_has_gone(
    writer: Writer, reader: CpuShares, upstream: Upstream
) -> None:
    arrived, seen, shares = threading.Event(), threading.Event(), []

    def work() -> None:
        share = reader.of(upstream.calls[-1][1][CALL])
        shares.append(share())
        arrived.set()
        wait_for(lambda: share() == ABANDONED)
        seen.set()

    upstream.during = work
    request = service_pb2.ModelInferRequest(model_name="video_motion").SerializeToString()
    with proxied(upstream, cpu_shares=writer) as (_, channel):
        call = channel.unary_unary(INFER).future(request)
        assert arrived.wait(10)
        call.cancel()
        assert seen.wait(10)
        wait_for(lambda: not writer._in_flight)  # the slot is free only when the models have answered
    assert shares == [1.0]


def test_the_proxy_sends_each_call_its_own_number_and_none_of_the_callers(
    writer: Writer, reader: CpuShares, upstream: Upstream
) -> None:
    shares: list[float] = []
    upstream.during = lambda: shares.append(reader.of(upstream.calls[-1][1][CALL])())
    request = service_pb2.ModelInferRequest(model_name="video_motion").SerializeToString()
    with proxied(upstream, cpu_shares=writer) as (_, channel):
        infer = channel.unary_unary(INFER)
        infer(request, timeout=10, metadata=[(CALL, "9"), ("kept", "x")])
        with writer.presence("another"):
            infer(request, timeout=10)
    assert shares == [1.0, 0.5]
    (_, first), (_, second) = upstream.calls
    assert first["kept"] == "x"
    assert all(metadata[CALL] in {"0", "1", "2", "3"} for metadata in (first, second))
    assert not writer._in_flight
    assert not writer._callers


def test_triton_is_told_to_pass_the_number_on_only_if_the_proxy_sets_it(tmp_path: Path) -> None:
    def flags(*, proxy: bool) -> str:
        settings = Settings.on_free_ports(tmp_path, proxy=proxy)
        return " ".join(triton_flags(settings, Endpoints.choose(settings), "key", "prefix", from_pip=True))

    assert "--grpc-header-forward-pattern=^(triton_call|triton_clips|triton_video)$" in flags(proxy=True)
    assert "header-forward" not in flags(proxy=False)
