"""Which of several servers gets the next request: of those that are reachable, the one with the fewest in flight.

An unreachable server is probed now and then, and gets requests again once it is ready. The servers behind a name
(`names`) come and go.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .names import WAIT_STEP_SECONDS, Lookup, Run, in_thread, look_up, name_of

PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Pauses between tries of an unreachable server; the last one repeats."""


@dataclass(eq=False)
class Endpoint:
    """A server, as this client has met it."""

    url: str
    """Its host and gRPC port."""
    in_flight: int = 0
    """Requests that it holds now."""
    sent: int = 0
    """Requests sent to it so far."""
    unreachable: bool = False
    """Whether the last contact with it failed."""
    failures: int = 0
    """Failed contacts since it last answered a request."""
    due_seconds: float = 0.0
    """Time of the next try, on the balancer's clock."""
    probing: bool = False
    """Whether a probe of it is under way."""


@dataclass(frozen=True)
class Ask:
    """Send the request to this endpoint; it counts as in flight there until `Balancer.release`."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Probe:
    """Ask this endpoint whether it is ready; report with `Balancer.mark_ready` or `Balancer.mark_unreachable`."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Nowhere:
    """There is no server: no name has an address."""

    reason: str
    """A sentence."""


class Balancer:
    """The state of all servers; safe to use from several threads."""

    def __init__(
        self,
        urls: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        lookup: Lookup = look_up,
        run: Run = in_thread,
    ) -> None:
        """Raises ValueError that names a URL which is wrong."""
        names = [(url, name_of(url, lookup, run)) for url in urls]
        self._names = [name for _, name in names if name is not None]
        self._fixed = [url for url, name in names if name is None]
        self._hosts: dict[str, str] = {}
        self.endpoints = [Endpoint(url) for url in self._fixed]
        """The servers that are known now."""
        self.clock = clock
        self.has_answered = False
        """Whether any server ever answered, even if only to report a partial outage."""
        self._lock = threading.Lock()

    def next(self, avoid: Endpoint | None = None) -> Ask | Probe | Pause | Nowhere:
        """What to do with a request now; `avoid` is the server that last had no room for it."""
        with self._lock:
            now = self.clock()
            if self._names and self._must_wait(now):
                return Pause(WAIT_STEP_SECONDS)
            if not self.endpoints:
                name = self._names[0]
                why = name.error or "its lookup takes too long"
                return Nowhere(f"no server answers at {name.url}: its address is not known ({why})")
            healthy = [one for one in self.endpoints if not one.unreachable]
            due = [one for one in self.endpoints if one.unreachable and one.due_seconds <= now]
            idle = [one for one in due if not one.probing]
            if healthy and idle:
                # Probe before sending a video: a host that drops packets would hold the video for minutes.
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
        """A request to it has ended, successfully or not."""
        with self._lock:
            endpoint.in_flight -= 1

    def mark_answered(self, endpoint: Endpoint) -> None:
        """It has answered a request."""
        with self._lock:
            endpoint.unreachable, endpoint.failures = False, 0
            self.has_answered = True

    def mark_ready(self, endpoint: Endpoint) -> None:
        """Its probe succeeded; whether it answers requests is yet to be seen."""
        with self._lock:
            endpoint.unreachable = endpoint.probing = False

    def mark_unreachable(self, endpoint: Endpoint, *, partial_outage: bool = False) -> None:
        """It did not answer, or answered that a part of it is down (`partial_outage`)."""
        with self._lock:
            self.has_answered |= partial_outage
            endpoint.unreachable, endpoint.probing = True, False
            if self.clock() >= endpoint.due_seconds:  # requests that fail together count as one failure
                pause = PAUSES_SECONDS[min(endpoint.failures, len(PAUSES_SECONDS) - 1)]
                endpoint.due_seconds = self.clock() + pause
                endpoint.failures += 1

    def host_of(self, url: str) -> str | None:
        """The name through which a server was found, which its certificate is for; None if `url` itself was given."""
        with self._lock:
            return self._hosts.get(url)

    def _must_wait(self, now: float) -> bool:
        """Look names up that are due, and take over what was found; whether to wait for more."""
        hurry = any(one.unreachable for one in self.endpoints)
        for name in self._names:
            name.look(now, hurry=hurry)
        for name in self._names:
            self._hosts.update((address, name.host) for address in name.addresses if address not in self._fixed)
        wanted = dict.fromkeys([*self._fixed, *(address for name in self._names for address in name.addresses)])
        known = {one.url: one for one in self.endpoints}
        if known.keys() != wanted.keys():
            new = [self._new(url, now) for url in wanted if url not in known]
            self.endpoints = [one for url, one in known.items() if url in wanted] + new
        return any(name.must_wait(now) for name in self._names)

    def _new(self, url: str, now: float) -> Endpoint:
        """A server that has come: it is probed first if another one can have the request meanwhile."""
        endpoint = Endpoint(url, sent=min((one.sent for one in self.endpoints), default=0))
        endpoint.unreachable, endpoint.due_seconds = any(not one.unreachable for one in self.endpoints), now
        return endpoint

    @property
    def any_healthy(self) -> bool:
        """Whether any server is not marked unreachable."""
        with self._lock:
            return any(not one.unreachable for one in self.endpoints)
