"""Which of several servers gets the next request: of those that answer, the one with the least in flight.

A server that went away is asked whether it is ready, now and then, and gets requests again once it says so.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Between tries while a server is away; the last for all that follow."""


@dataclass(eq=False)
class Endpoint:
    """A server, as this client has met it."""

    url: str
    in_flight: int = 0
    """Requests that it holds."""
    sent: int = 0
    """Requests that it was ever given."""
    away: bool = False
    """Whether it was not there when last met."""
    failures: int = 0
    """How often it was away since it answered a request."""
    due_seconds: float = 0.0
    """When it is to be tried again, on the balancer's clock."""
    probing: bool = False
    """Whether somebody is asking it whether it is ready."""


@dataclass(frozen=True)
class Ask:
    """Send the request there; a place is taken, which `Balancer.release` gives back."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Probe:
    """See whether this one is ready again; `Balancer.is_ready` or `Balancer.went_away` says how it went."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


class Balancer:
    """What is known of the servers; used by several threads at once."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.endpoints = [Endpoint(url) for url in urls]
        self.clock = clock
        self.has_answered = False
        """Whether any server ever did, if only that a part of it is away."""
        self._lock = threading.Lock()

    def next(self, avoid: Endpoint | None = None) -> Ask | Probe | Pause:
        """What to do now with a request, `avoid` being the server that had no room for it."""
        with self._lock:
            now = self.clock()
            healthy = [one for one in self.endpoints if not one.away]
            due = [one for one in self.endpoints if one.away and one.due_seconds <= now]
            idle = [one for one in due if not one.probing]
            if healthy and idle:
                # First a question that costs little: a host that swallows packets would hold a video for minutes.
                idle[0].probing = True
                return Probe(idle[0])
            if not healthy and not due:
                soonest = min(one.due_seconds for one in self.endpoints)
                return Pause((soonest - now) * random.uniform(1.0, 1.2))
            choice = min(healthy or due, key=lambda one: (one is avoid, one.in_flight, one.sent))
            choice.in_flight += 1
            choice.sent += 1
            return Ask(choice)

    def release(self, endpoint: Endpoint) -> None:
        """A request to it has ended, one way or the other."""
        with self._lock:
            endpoint.in_flight -= 1

    def answered(self, endpoint: Endpoint) -> None:
        """It has answered a request."""
        with self._lock:
            endpoint.away, endpoint.failures = False, 0
            self.has_answered = True

    def is_ready(self, endpoint: Endpoint) -> None:
        """It says that it is ready, which a request has yet to prove."""
        with self._lock:
            endpoint.away = endpoint.probing = False

    def went_away(self, endpoint: Endpoint, *, says_so: bool = False) -> None:
        """It is not there, or it `says_so` of a part of it."""
        with self._lock:
            self.has_answered |= says_so
            endpoint.away, endpoint.probing = True, False
            if self.clock() >= endpoint.due_seconds:  # else the others that it had at the time, which count once
                pause = PAUSES_SECONDS[min(endpoint.failures, len(PAUSES_SECONDS) - 1)]
                endpoint.due_seconds = self.clock() + pause
                endpoint.failures += 1

    @property
    def any_healthy(self) -> bool:
        """Whether a server is there that has not been seen to be away."""
        with self._lock:
            return any(not one.away for one in self.endpoints)
