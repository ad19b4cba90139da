"""Receiving the messages of calls: for how long, how fast, and how many at once.

A call that never sends its message costs its caller nothing. So the number of such calls is bounded without favour:
beyond the bound, a new call takes the place of one of the caller that has the most of them. Calls about health have
bounds of their own, for each connection alone, so other callers never keep them from being answered.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from server.connections import LEAST_BYTES_PER_SECOND, Connection

HEALTH = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        *(f"/inference.GRPCInferenceService/{name}" for name in ("ServerLive", "ServerReady", "ModelReady")),
    }
)


@dataclass(frozen=True)
class ReceptionLimits:
    """Bounds of receiving."""

    seconds: float = 600.0
    """How long one message may take."""
    window_seconds: float = 20.0
    """Over how long the rate of a connection is measured."""
    bytes_per_second: int = LEAST_BYTES_PER_SECOND
    """The least rate of a connection while it has calls whose messages have not arrived."""
    calls: int = 256
    """Calls that are received at once."""
    health_calls: int = 8
    """Open calls about health of one connection."""


MANY_CALLS = 32
"""If a connection that is too slow has so many calls without messages, all of them give way, not one at a time."""


class NotReceived(Exception):
    """The message of a call did not arrive in time."""


class Stopping(Exception):
    """The server is stopping."""


class TooManyCalls(Exception):
    """A call has no place among those that are received."""


@dataclass(eq=False)
class _Call:
    connection: Connection
    started: float
    limit: asyncio.Timeout
    error: Exception | None = None
    """Why it ends early."""

    def end(self, error: Exception) -> None:
        """Stop receiving it."""
        if self.error is None:
            self.error = error
            self.limit.reschedule(asyncio.get_running_loop().time())


class Reception:
    """The calls that are received, for one event loop."""

    def __init__(self, limits: ReceptionLimits) -> None:
        self.limits = limits
        # Those other than about health, the oldest of a connection first; dict as an ordered set.
        self._calls: dict[Connection, dict[_Call, None]] = {}
        self._count = 0
        self._all: set[_Call] = set()
        self._health: Counter[Connection] = Counter()
        self._watch: asyncio.Task[None] | None = None

    async def receive(self, connection: Connection, read: Callable[[], Awaitable[bytes]], *, health: bool) -> bytes:
        """What `read` returns: the message of a call; `NotReceived` or `TooManyCalls` says why not."""
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(self.limits.seconds)
        call = _Call(connection, loop.time(), limit)
        self._enter(call, health=health)
        try:
            async with limit:
                return await read()
        except TimeoutError:
            raise call.error or NotReceived(f"the message did not arrive within {self.limits.seconds:g} s") from None
        finally:
            self._leave(call)

    @contextlib.asynccontextmanager
    async def health_call(self, connection: Connection) -> AsyncIterator[None]:
        """Count an open call about health; `TooManyCalls` if the connection has too many."""
        most = self.limits.health_calls
        if self._health[connection] >= most:
            raise TooManyCalls(f"this connection has {most} open calls about health, which is the limit")
        self._health[connection] += 1
        try:
            yield
        finally:
            self._health[connection] -= 1
            if not self._health[connection]:
                del self._health[connection]

    def stop(self) -> None:
        """End the calls that send too little to be waited for when the server stops."""
        for call in [*self._all]:
            if call.connection.bytes_per_second < self.limits.bytes_per_second:
                call.end(Stopping("the server is stopping, and the message of this call had not arrived"))

    def close(self) -> None:
        """Stop looking after calls."""
        if self._watch is not None:
            self._watch.cancel()

    def _enter(self, call: _Call, *, health: bool) -> None:
        if not health:
            if self._count >= self.limits.calls:
                self._make_room(call)
            self._calls.setdefault(call.connection, {})[call] = None
            self._count += 1
        self._all.add(call)
        call.connection.begin_receiving()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.get_running_loop().create_task(self._end_slow_calls())

    def _leave(self, call: _Call) -> None:
        self._forget(call)
        self._all.discard(call)
        call.connection.end_receiving()

    def _make_room(self, new: _Call) -> None:
        """End a call of the address, and there of the connection, that has the most; of several, the slowest one's."""
        groups = Counter({new.connection.group: 1})
        for connection, calls in self._calls.items():
            groups[connection.group] += len(calls)
        most = max(groups.values())
        own = len(self._calls.get(new.connection, ()))
        candidates = [connection for connection in self._calls if groups[connection.group] == most]
        counts = [len(self._calls[one]) + (one is new.connection) for one in candidates]
        largest = max(counts, default=0)
        slowest = min(
            (one for one, count in zip(candidates, counts, strict=True) if count == largest),
            key=lambda one: (one.bytes_per_second, one.measured_since),
            default=None,
        )
        limit = self.limits.calls
        if slowest is None or slowest is new.connection:
            raise TooManyCalls(f"{limit} calls are being received, {own} of them over this connection: retry later")
        victims = [*self._calls[slowest]]  # the oldest first
        slow = slowest.bytes_per_second < self.limits.bytes_per_second
        if not slow or len(victims) < MANY_CALLS:
            del victims[1:]
        for victim in victims:
            victim.end(
                TooManyCalls(f"{limit} calls are being received, this one gave way to another caller's: retry later")
            )
            self._forget(victim)

    def _forget(self, call: _Call) -> None:
        """Count a call no longer."""
        calls = self._calls.get(call.connection, {})
        if call in calls:
            del calls[call]
            self._count -= 1
            if not calls:
                del self._calls[call.connection]

    async def _end_slow_calls(self) -> None:
        window = self.limits.window_seconds
        least = self.limits.bytes_per_second
        loop = asyncio.get_running_loop()
        while self._all:
            await asyncio.sleep(window / 4)
            for connection in {call.connection for call in self._all}:
                now = loop.time()
                if now - connection.measured_since < window:
                    continue
                rate = connection.bytes_per_second
                for call in [one for one in self._all if one.connection is connection]:
                    if rate < least and now - call.started >= window:
                        call.end(
                            NotReceived(
                                f"the message arrived too slowly: {rate:.0f} bytes/s over {window:g} s, "
                                f"the least is {least}"
                            )
                        )
                connection.measure()
