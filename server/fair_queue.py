"""Which request goes to Triton next, and how many are in flight and waiting.

An address with fewer requests in flight comes first, so that connections without number, or videos that take long, buy
nobody more than a share. The callers of one address take turns. An address that lately wasted slots gets one at a time
while another one has requests. A full queue refuses those who have the most in it.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.waste import Waste


class QueueFull(Exception):
    """The queue is full; the message says how many requests wait."""


class FairQueue:
    """Gives slots to addresses evenly and to their callers in turn: none waits behind everything of another one.

    For one event loop; its counts may be read in any thread. A request that is cancelled while it waits never gets a
    slot.
    """

    def __init__(self, max_in_flight: int, max_waiting: int, max_per_caller: int) -> None:
        """At most `max_in_flight` slots, `max_per_caller` of them for one caller, and `max_waiting` in the queue."""
        self.waste = Waste()
        """What addresses have wasted; whoever answers the requests adds to it."""
        self.max_in_flight = max_in_flight
        self.max_per_caller = max_per_caller
        self.max_waiting = max_waiting
        self.in_flight = 0
        """Slots in use."""
        self.waiting = 0
        """Requests in the queue; counted as they come and go, because other threads read it."""
        self.refused = 0
        """Requests that found the queue full, so far."""
        self.cancelled = 0
        """Requests that were cancelled while they waited, so far."""
        self._in_flight_of: Counter[str] = Counter()
        self._in_flight_from: Counter[str] = Counter()
        # By address and caller, the one whose turn is next first.
        self._waiting: OrderedDict[str, OrderedDict[str, deque[asyncio.Future[None]]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, caller: str, address: str = "") -> AsyncIterator[None]:
        """Wait for a slot and hold it for the length of the block. `caller` is one connection from `address`.

        Raises `QueueFull` if the queue is full: at once, or later if a caller with fewer requests needs the place.
        """
        if self.in_flight < self.max_in_flight and self._below_limit(caller, address):
            self._acquire(caller, address)
        else:
            await self._wait(caller, address)
        try:
            yield
        finally:
            self._release(caller, address)

    def _below_limit(self, caller: str, address: str) -> bool:
        if self._in_flight_of[caller] >= self.max_per_caller:
            return False
        return not self._in_flight_from[address] or self._is_alone(address) or not self.waste.is_wasteful(address)

    def _is_alone(self, address: str) -> bool:
        return self._in_flight_from.keys() <= {address} and self._waiting.keys() <= {address}

    def _acquire(self, caller: str, address: str) -> None:
        self.in_flight += 1
        self._in_flight_of[caller] += 1
        self._in_flight_from[address] += 1

    async def _wait(self, caller: str, address: str) -> None:
        if self.waiting >= self.max_waiting:
            self.refused += 1
            self._make_room(caller, address)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, OrderedDict()).setdefault(caller, deque()).append(place)
        self.waiting += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._release(caller, address)  # it got a slot at the same moment
            else:
                self._forget(caller, address, place)
            self.cancelled += 1
            raise

    def _make_room(self, caller: str, address: str) -> None:
        """Refuse the last request of the address, and there of the caller, with the most; `QueueFull` if it is this."""
        full = f"the queue is full: {self.waiting} requests waiting, {self.in_flight} in flight"
        of_address = Counter({one: sum(map(len, callers.values())) for one, callers in self._waiting.items()})
        of_address[address] += 1
        crowded = max(reversed(of_address), key=lambda one: (of_address[one], one == address))
        of_caller = Counter({one: len(places) for one, places in self._waiting.get(crowded, {}).items()})
        if crowded == address:
            of_caller[caller] += 1
        greedy = max(reversed(of_caller), key=lambda one: (of_caller[one], one == caller))
        if (greedy, crowded) == (caller, address):
            raise QueueFull(full)
        place = self._waiting[crowded][greedy][-1]
        self._forget(greedy, crowded, place)
        if not place.done():  # a cancelled one stays here until its task runs
            place.set_exception(QueueFull(f"{full}; this one gave way to another caller's"))

    def _forget(self, caller: str, address: str, place: asyncio.Future[None]) -> None:
        callers = self._waiting.get(address, OrderedDict())
        places = callers.get(caller, deque())
        if place in places:
            places.remove(place)
            self.waiting -= 1
        if not places:
            callers.pop(caller, None)
        if not callers:
            self._waiting.pop(address, None)

    def _release(self, caller: str, address: str) -> None:
        """Pass the slot on, and others that became free for those that wait."""
        self.in_flight -= 1
        for counter, name in ((self._in_flight_of, caller), (self._in_flight_from, address)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
        while self.in_flight < self.max_in_flight and (following := self._following()) is not None:
            caller, address = following
            place = self._take(caller, address)
            if not place.done():  # a cancelled one stays here until its task runs
                self._acquire(caller, address)
                place.set_result(None)

    def _following(self) -> tuple[str, str] | None:
        """The caller whose turn is next, and its address: of those that wait, the one with the fewest in flight."""
        able = (
            (self._in_flight_from[address], caller, address)
            for address, callers in self._waiting.items()
            if (caller := next((one for one in callers if self._below_limit(one, address)), None)) is not None
        )
        found = min(able, key=lambda one: one[0], default=None)
        return None if found is None else found[1:]

    def _take(self, caller: str, address: str) -> asyncio.Future[None]:
        """The next request of a caller; the turns of the caller and of its address come last then."""
        callers = self._waiting.pop(address)
        places = callers.pop(caller)
        place = places.popleft()
        self.waiting -= 1
        if places:
            callers[caller] = places
        if callers:
            self._waiting[address] = callers
        return place
