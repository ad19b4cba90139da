"""A run with several videos in flight: order of results, results held, and how it ends."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from client import InvalidRequest
from client._inputs.errors import InputError
from client._inputs.item import Item
from client._runs.run import Run, VideoResult

DONE = InvalidRequest("done")


def items(count: int) -> Iterator[Item]:
    return (Item(str(index)) for index in range(count))


def done(item: Item) -> VideoResult:
    return VideoResult(item, DONE)


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not come to pass"
        time.sleep(0.002)


def paths(run: Run) -> list[int]:
    return [int(result.item.path) for result in run]


def test_every_video_is_handed_out_once_and_in_order_where_that_is_wanted() -> None:
    assert sorted(paths(Run(done, items(500), in_flight=7))) == [*range(500)]
    assert paths(Run(done, items(500), in_flight=7, ordered=True)) == [*range(500)]
    assert paths(Run(done, items(0), in_flight=7)) == []


def test_a_slow_video_delays_no_other() -> None:
    release = threading.Event()

    def score(item: Item) -> VideoResult:
        if item.path == "0":
            assert release.wait(60)
        return done(item)

    handed_out = []
    for got in Run(score, items(200), in_flight=2):
        handed_out.append(int(got.item.path))
        if len(handed_out) == 199:
            release.set()
    assert handed_out == [*range(1, 200), 0]


def test_no_more_is_held_than_a_few_times_what_is_in_flight() -> None:
    taken = []

    def watched() -> Iterator[Item]:
        for item in items(10_000):
            taken.append(item)
            yield item

    for handed_out, _ in enumerate(Run(done, watched(), in_flight=2, ordered=True)):
        assert len(taken) - handed_out <= 2 * 8 + 1
        if handed_out == 5:
            wait_for(lambda: len(taken) == 5 + 2 * 8)  # the limit


def test_a_run_that_is_stopped_hands_out_what_is_in_flight_and_takes_no_more() -> None:
    run = Run(done, items(10_000), in_flight=3)
    handed_out = 0
    for _ in run:
        handed_out += 1
        run.stop()
    assert 1 <= handed_out <= 3 * 8


def test_a_run_whose_videos_are_not_there_yet_can_be_stopped() -> None:
    never = threading.Event()

    def waiting() -> Iterator[Item]:
        yield from items(3)
        never.wait()

    run = Run(done, waiting(), in_flight=2)
    handed_out = []
    for got in run:
        handed_out.append(got)
        if len(handed_out) == 3:
            run.stop()
    assert len(handed_out) == 3
    never.set()


def test_what_goes_wrong_with_the_videos_or_in_the_program_ends_the_run_after_what_is_in_flight() -> None:
    def wrong() -> Iterator[Item]:
        yield from items(5)
        raise InputError("line 6 is wrong")

    handing_out = iter(Run(done, wrong(), in_flight=2, ordered=True))
    assert [int(next(handing_out).item.path) for _ in range(5)] == [*range(5)]
    with pytest.raises(InputError, match="line 6 is wrong"):
        next(handing_out)

    def broken(item: Item) -> VideoResult:
        raise RuntimeError(f"a fault at {item.path}")

    with pytest.raises(RuntimeError, match="a fault at"):
        paths(Run(broken, items(100), in_flight=2))


def test_a_caller_that_stops_reading_leaves_no_call_behind() -> None:
    under_way = 0
    lock = threading.Lock()
    release = threading.Event()

    def score(item: Item) -> VideoResult:
        nonlocal under_way
        with lock:
            under_way += 1
        if item.path != "0":
            assert release.wait(60)
        with lock:
            under_way -= 1
        return done(item)

    handing_out = iter(Run(score, items(100), in_flight=4))
    assert next(handing_out).item.path == "0"
    wait_for(lambda: under_way == 4)
    closing = threading.Thread(target=handing_out.close)  # type: ignore[attr-defined]
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    release.set()
    closing.join(60)
    assert not closing.is_alive()
    assert under_way == 0
