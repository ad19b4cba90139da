"""Who goes on to Triton next: a bounded number at once, callers by turns, a bounded number waiting."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """As many wait as may; the message says how many."""


class Turnstile:
    """Lets requests in, one caller's after another's, so that nobody waits behind all that another has sent.

    For one event loop. Who stops waiting, being cancelled, is never let in.
    """

    def __init__(self, max_inside: int, max_waiting: int) -> None:
        """`max_inside` requests at once; `max_waiting` more wait, and the next is refused."""
        self.max_inside = max_inside
        self.max_waiting = max_waiting
        self.inside = 0
        self.refused = 0
        """Requests that found the queue full, so far."""
        self.left = 0
        """Requests whose caller had gone before their turn came, so far."""
        # Of each caller who waits, in the order of their turns.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block; `QueueFull` at once where too many wait."""
        if self.inside < self.max_inside:
            self.inside += 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, caller: str) -> None:
        if self.waiting >= self.max_waiting:
            self.refused += 1
            raise QueueFull(
                f"the queue is full: {self.max_waiting} requests wait, {self.max_inside} are being answered"
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # the turn had come: it is another's
            else:
                self._forget(caller, place)
            self.left += 1
            raise

    def _forget(self, caller: str, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(caller, deque())
        if place in places:
            places.remove(place)
        if not places:
            self._waiting.pop(caller, None)

    def _leave(self) -> None:
        """Hand a turn that is over to the caller who has waited for theirs the longest."""
        while self._waiting:
            caller, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[caller] = places  # last in the order of turns
            if not place.done():  # one that was cancelled is still here until its task runs
                place.set_result(None)
                return
        self.inside -= 1
