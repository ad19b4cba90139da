"""Which request gets the next slot."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from server.fair_queue import FairQueue, QueueFull


def scene(
    play: Callable[[FairQueue, "Stage"], Awaitable[None]], *, in_flight: int = 1, waiting: int = 8, per_caller: int = 8
) -> list[str]:
    """Run a scenario on a queue; the names of the requests that got a slot, in order."""

    async def run() -> list[str]:
        queue = FairQueue(in_flight, waiting, per_caller)
        stage = Stage(queue)
        await play(queue, stage)
        assert (queue.in_flight, queue.waiting) == (0, 0)
        return stage.entered

    return asyncio.run(run())


class Stage:
    """Requests that hold their slot until they are told to leave."""

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue
        self.entered: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Each name is the letter of a caller and the number of a request, and its address after an @."""
        for name in names:
            self.send(name)
            await asyncio.sleep(0)

    def send(self, name: str) -> None:
        """`come`, when the task of this request runs."""
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name))

    async def _stay(self, name: str) -> None:
        async with self._queue.slot(name[0], name.partition("@")[2]):
            self.entered.append(name)
            await self._leave[name].wait()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await self.tasks[name]
            await asyncio.sleep(0)


def test_callers_take_turns_however_many_requests_one_has() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "a3", "a4", "b1", "c1", "b2")
        await stage.leave("a1", "a2", "b1", "c1", "a3", "b2", "a4")

    assert scene(play) == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


def test_no_more_are_in_flight_than_allowed() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "a3", "a4")
        assert stage.entered == ["a1", "a2", "a3"]
        assert (queue.in_flight, queue.waiting) == (3, 1)
        await stage.leave("a2", "a1", "a3", "a4")

    assert scene(play, in_flight=3) == ["a1", "a2", "a3", "a4"]


def test_one_caller_leaves_room_for_others() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "a3", "a4")
        assert stage.entered == ["a1", "a2"]
        await stage.come("b1", "c1", "b2")
        assert stage.entered == ["a1", "a2", "b1"]
        await stage.leave("b1")  # not to a, which has waited longest but has two in flight
        assert stage.entered == ["a1", "a2", "b1", "c1"]
        await stage.leave("a1", "c1", "a2", "b2", "a3", "a4")

    assert scene(play, in_flight=3, per_caller=2) == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


def test_connections_without_number_buy_an_address_no_more_than_its_share() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1@x", "b1@x", "c1@x", "d1@x", "e1@x", "g1@y", "g2@y", "g3@y")
        # Each connection of x is a new caller, and one at y waits behind none of those that wait.
        await stage.leave("a1@x", "b1@x", "g1@y", "g2@y", "c1@x", "g3@y", "d1@x", "e1@x")

    entered = scene(play, in_flight=2)
    assert entered == ["a1@x", "b1@x", "g1@y", "c1@x", "g2@y", "g3@y", "d1@x", "e1@x"]


def test_videos_that_take_long_buy_an_address_no_more_than_its_share() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1@x", "b1@x", "g1@y", "c1@x", "g2@y", "g3@y")
        assert stage.entered == ["a1@x", "b1@x", "g1@y"]
        # While two of x stay, the slot that y leaves is y's again, although x has waited longer.
        await stage.leave("g1@y", "g2@y", "g3@y")
        assert stage.entered[-1] == "c1@x"
        await stage.leave("a1@x", "b1@x", "c1@x")

    scene(play, in_flight=3)


def test_a_wasteful_address_has_one_slot_while_another_has_requests() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        queue.waste.add("x", 100.0)
        await stage.come("a1@x", "b1@x", "c1@x")
        assert stage.entered == ["a1@x", "b1@x", "c1@x"]  # nobody else is there
        await stage.come("g1@y", "d1@x", "g2@y")
        assert stage.entered[3:] == ["g1@y", "g2@y"]
        await stage.leave("a1@x", "b1@x", "c1@x")
        assert stage.entered[5:] == ["d1@x"]  # its first one
        await stage.come("e1@x", "f1@x")
        assert stage.entered[6:] == []
        await stage.leave("g1@y", "g2@y")
        assert stage.entered[6:] == ["e1@x", "f1@x"]  # when the other one has left, every slot that is free
        await stage.leave("d1@x", "e1@x", "f1@x")

    scene(play, in_flight=5)


def test_an_address_by_itself_has_every_slot() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1@x", "b1@x", "c1@x", "d1@x")
        assert stage.entered == ["a1@x", "b1@x", "c1@x"]
        await stage.leave("a1@x", "b1@x", "c1@x", "d1@x")

    scene(play, in_flight=3)


def test_a_full_queue_refuses_the_next_request_only() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "b1", "c1")
        with pytest.raises(QueueFull, match="the queue is full: 2 requests waiting, 1 in flight"):
            await stage.tasks["c1"]
        assert queue.refused == 1
        await stage.leave("a1", "a2", "b1")

    assert scene(play, waiting=2) == ["a1", "a2", "b1"]


def test_who_has_most_in_a_full_queue_gives_way_to_another_address() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1@x", "a2@x", "b1@x", "a3@x", "g1@y")
        with pytest.raises(QueueFull, match=r"the queue is full: 3 .*; this one gave way to another caller's"):
            await stage.tasks["a3@x"]
        await stage.come("c1@x")  # another connection buys an address no place
        with pytest.raises(QueueFull, match=r"^the queue is full: 3 requests waiting, 1 in flight$"):
            await stage.tasks["c1@x"]
        await stage.come("h1@z")
        with pytest.raises(QueueFull):
            await stage.tasks["b1@x"]
        await stage.come("i1@w")
        with pytest.raises(QueueFull):  # each has one now
            await stage.tasks["i1@w"]
        assert (queue.refused, queue.waiting) == (4, 3)
        await stage.leave("a1@x", "a2@x", "g1@y", "h1@z")

    assert scene(play, waiting=3) == ["a1@x", "a2@x", "g1@y", "h1@z"]


def test_who_has_most_in_a_full_queue_gives_way_to_another_caller_of_the_address() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "a3", "a4", "b1")
        with pytest.raises(QueueFull):
            await stage.tasks["a4"]
        await stage.come("b2")
        with pytest.raises(QueueFull):
            await stage.tasks["b2"]
        await stage.leave("a1", "a2", "b1", "a3")

    assert scene(play, waiting=3) == ["a1", "a2", "b1", "a3"]


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_request_that_is_cancelled_while_it_gives_way_frees_no_slot(cancelled_first: bool) -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1@x", "a2@x", "a3@x")
        stage.send("g1@y")
        if not cancelled_first:
            await asyncio.sleep(0)
        stage.tasks["a3@x"].cancel()  # its task has not run yet since
        for _ in range(3):
            await asyncio.sleep(0)
        assert (queue.in_flight, queue.waiting, queue.refused, queue.cancelled) == (1, 2, 1, 1)
        await stage.leave("a1@x", "a2@x", "g1@y")

    assert scene(play, waiting=2) == ["a1@x", "a2@x", "g1@y"]


def test_a_cancelled_request_gets_no_slot() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "a2", "b1", "b2")
        stage.tasks["a2"].cancel()
        stage.tasks["b1"].cancel()
        await asyncio.sleep(0)
        assert (queue.waiting, queue.cancelled) == (1, 2)
        await stage.leave("a1", "b2")

    assert scene(play) == ["a1", "b2"]


def test_the_slot_of_a_request_cancelled_in_that_moment_passes_on() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "b1", "c1")
        stage._leave["a1"].set()
        while queue.waiting == 2:
            await asyncio.sleep(0)
        stage.tasks["b1"].cancel()  # it has a slot, but its task has not run yet
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await stage.leave("c1")
        assert queue.cancelled == 1

    assert scene(play) == ["a1", "c1"]


def test_a_cancellation_while_a_slot_is_released_blocks_no_other_caller() -> None:
    async def play(queue: FairQueue, stage: Stage) -> None:
        await stage.come("a1", "b1", "b2", "c1")
        # All of this before any of their tasks runs again.
        stage._leave["a1"].set()
        stage.tasks["b1"].cancel()
        stage.tasks["c1"].cancel()
        await stage.tasks["a1"]
        for _ in range(4):
            await asyncio.sleep(0)
        assert queue.cancelled == 2
        await stage.leave("b2")
        await stage.come("d1")
        await stage.leave("d1")

    assert scene(play) == ["a1", "b2", "d1"]


def test_another_thread_may_read_the_counts_at_any_time() -> None:
    failures: list[RuntimeError] = []
    ended = threading.Event()

    def read(queue: FairQueue) -> None:
        while not ended.is_set():
            try:
                assert 0 <= queue.waiting <= 40
            except RuntimeError as error:  # a dictionary that changed while it was read
                failures.append(error)
                return

    async def stay(queue: FairQueue, index: int) -> None:
        async with queue.slot(str(index), str(index % 7)):
            await asyncio.sleep(0)

    async def run() -> None:
        queue = FairQueue(2, 40, 2)
        reader = threading.Thread(target=read, args=(queue,))
        reader.start()
        for _ in range(40):
            await asyncio.gather(*(stay(queue, index) for index in range(40)))
        ended.set()
        reader.join()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asyncio.run(run())
    finally:
        sys.setswitchinterval(interval)
        ended.set()
    assert not failures
