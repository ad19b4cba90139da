"""Which request goes to Triton next: callers take turns, and the numbers in flight and waiting are bounded."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """The queue is full; the message says how many requests wait."""


class FairQueue:
    """Gives slots to callers in turn, so that no caller waits behind everything that another has sent.

    For one event loop. A request that is cancelled while it waits never gets a slot.
    """

    def __init__(self, max_in_flight: int, max_waiting: int, max_per_caller: int) -> None:
        """At most `max_in_flight` slots, `max_per_caller` of them for one caller, and `max_waiting` in the queue."""
        self.max_in_flight = max_in_flight
        self.max_per_caller = max_per_caller
        self.max_waiting = max_waiting
        self.in_flight = 0
        """Slots in use."""
        self.refused = 0
        """Requests that found the queue full, so far."""
        self.cancelled = 0
        """Requests that were cancelled while they waited, so far."""
        self._in_flight_of: Counter[str] = Counter()
        # By caller, the one whose turn is next first.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the length of the block; raises `QueueFull` at once if the queue is full."""
        if self.in_flight < self.max_in_flight and self._below_limit(caller):
            self._acquire(caller)
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._release(caller)

    def _below_limit(self, caller: str) -> bool:
        return self._in_flight_of[caller] < self.max_per_caller

    def _acquire(self, caller: str) -> None:
        self.in_flight += 1
        self._in_flight_of[caller] += 1

    async def _wait(self, caller: str) -> None:
        if self.waiting >= self.max_waiting:
            self.refused += 1
            raise QueueFull(f"the queue is full: {self.waiting} requests waiting, {self.in_flight} in flight")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release(caller)  # it got a slot at the same moment
            else:
                self._forget(caller, place)
            self.cancelled += 1
            raise

    def _forget(self, caller: str, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(caller, deque())
        if place in places:
            places.remove(place)
        if not places:
            self._waiting.pop(caller, None)

    def _release(self, caller: str) -> None:
        """Pass the slot on to the caller that has waited longest for its turn and is below its limit."""
        self.in_flight -= 1
        self._in_flight_of[caller] -= 1
        if not self._in_flight_of[caller]:
            del self._in_flight_of[caller]
        while (following := next(filter(self._below_limit, self._waiting), None)) is not None:
            places = self._waiting.pop(following)
            place = places.popleft()
            if places:
                self._waiting[following] = places  # its next turn comes last
            if not place.done():  # a cancelled one stays here until its task runs
                self._acquire(following)
                place.set_result(None)
                return
