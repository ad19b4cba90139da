"""Who goes on to Triton next: a bounded number at once and of each caller, by turns, a bounded number waiting."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """As many wait as may; the message says how many."""


class FairQueue:
    """Lets requests in, one caller's after another's, so that nobody waits behind all that another has sent.

    For one event loop. Who stops waiting, being cancelled, is never let in.
    """

    def __init__(self, max_in_flight: int, max_waiting: int, max_per_caller: int) -> None:
        """At most `max_in_flight` requests at once, `max_per_caller` of one caller, and `max_waiting` in the queue."""
        self.max_in_flight = max_in_flight
        self.max_per_caller = max_per_caller
        self.max_waiting = max_waiting
        self.in_flight = 0
        self.refused = 0
        """Requests that found the queue full, so far."""
        self.cancelled = 0
        """Requests whose caller had gone before their turn came, so far."""
        self._in_flight_of: Counter[str] = Counter()
        # Of each caller who waits, in the order of their turns.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block; `QueueFull` at once where too many wait."""
        if self.in_flight < self.max_in_flight and self._has_room(caller):
            self._acquire(caller)
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._release(caller)

    def _has_room(self, caller: str) -> bool:
        return self._in_flight_of[caller] < self.max_per_caller

    def _acquire(self, caller: str) -> None:
        self.in_flight += 1
        self._in_flight_of[caller] += 1

    async def _wait(self, caller: str) -> None:
        if self.waiting >= self.max_waiting:
            self.refused += 1
            raise QueueFull(f"the queue is full: {self.waiting} requests wait, {self.in_flight} are being answered")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release(caller)  # the turn had come: it is another's
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
        """Hand a turn that is over to the caller who has waited for theirs the longest, and may have one more."""
        self.in_flight -= 1
        self._in_flight_of[caller] -= 1
        if not self._in_flight_of[caller]:
            del self._in_flight_of[caller]
        while (following := next(filter(self._has_room, self._waiting), None)) is not None:
            places = self._waiting.pop(following)
            place = places.popleft()
            if places:
                self._waiting[following] = places  # last in the order of turns
            if not place.done():  # one that was cancelled is still here until its task runs
                self._acquire(following)
                place.set_result(None)
                return
