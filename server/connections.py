"""Who may stay connected: connections are bounded in total and by address, and idle ones give way to new ones.

A bound alone would let idle connections lock everybody else out. So a new connection beyond a bound takes the place of
the one that has done the least, and is refused only if all others are at work.
"""

import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)
LEAST_BYTES_PER_SECOND = 16 << 10
"""A caller that sends its request more slowly is as good as idle."""
LOG_SECONDS = 60.0
"""Connections that gave way or were refused are logged this often at most."""


@dataclass(eq=False)
class Connection:
    """A caller's connection, and what it has done; times are those of `time.monotonic`."""

    group: str
    """The address that it counts for: of IPv6, the first 64 bits, which one caller usually has to itself."""
    close: Callable[[], None]
    """Ends it at once."""
    last_used: float = field(default_factory=time.monotonic)
    used: bool = False
    """Whether it has ever made a call."""
    received: int = 0
    """Bytes from the caller."""
    receiving: int = 0
    """Calls whose messages have not arrived."""
    answering: int = 0
    """Calls whose messages have arrived, and that are not answered yet."""
    measured_since: float = 0.0
    received_before: int = 0
    """When the rate of its messages began to be measured, and `received` at that time."""

    def begin_receiving(self) -> None:
        """Count a call whose message has not arrived."""
        if not self.receiving:
            self.measure()
        self.used = True
        self.receiving += 1

    def end_receiving(self) -> None:
        """Count that it has arrived, or never will."""
        self.receiving -= 1
        self.last_used = time.monotonic()

    def begin_answering(self) -> None:
        """Count a call whose message has arrived."""
        self.used = True
        self.answering += 1

    def end_answering(self) -> None:
        """Count its answer."""
        self.answering -= 1
        self.last_used = time.monotonic()

    def measure(self) -> None:
        """Measure the rate from now on."""
        self.measured_since, self.received_before = time.monotonic(), self.received

    @property
    def bytes_per_second(self) -> float:
        """How fast it has sent since the measurement began."""
        return (self.received - self.received_before) / max(time.monotonic() - self.measured_since, 1.0)


class Connections:
    """The connections to one port, for one event loop."""

    def __init__(self, what: str, total: int, per_group: int) -> None:
        """At most `total`, and `per_group` of one address; `what` names the port in messages."""
        self.total = total
        self.per_group = per_group
        self.displaced = 0
        """Those that gave way to another, so far."""
        self.refused = 0
        """Those that found no place, so far."""
        self._what = what
        self._groups: dict[str, set[Connection]] = {}
        self._logged = -LOG_SECONDS
        self._logged_count = 0

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def admit(self, address: str, close: Callable[[], None]) -> Connection | None:
        """A place for a new connection from `address`, an IP address; None if it must be refused.

        `close` of another connection is called if that one gives way.
        """
        group = group_of(address)
        own = self._groups.get(group, set())
        rivals: Iterable[Connection] = ()
        if len(own) >= self.per_group:
            rivals = own
        elif len(self) >= self.total:
            rivals = (connection for others in self._groups.values() for connection in others)
        else:
            return self._add(group, close)
        ranked = ((rank, connection) for connection in rivals if (rank := self._rank(connection)) is not None)
        _, victim = min(ranked, key=lambda pair: pair[0], default=(None, None))
        if victim is None:
            self.refused += 1
            self._log()
            return None
        self.displaced += 1
        self._log()
        self.remove(victim)
        victim.close()
        return self._add(group, close)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        own = self._groups.get(connection.group, set())
        own.discard(connection)
        if not own:
            self._groups.pop(connection.group, None)

    def close_all(self) -> None:
        """End every connection."""
        for connection in [connection for own in self._groups.values() for connection in own]:
            self.remove(connection)
            connection.close()

    def _add(self, group: str, close: Callable[[], None]) -> Connection:
        connection = Connection(group, close)
        self._groups.setdefault(group, set()).add(connection)
        return connection

    def _rank(self, connection: Connection) -> tuple[int, int, float] | None:
        """The lower, the sooner it gives way; None if it does not."""
        crowd = -len(self._groups[connection.group])
        if connection.answering:
            return None
        if connection.receiving:
            rate = connection.bytes_per_second
            return (3, crowd, rate) if rate < LEAST_BYTES_PER_SECOND else None
        return 2 if connection.used else int(connection.received > 0), crowd, connection.last_used

    def _log(self) -> None:
        now, count = time.monotonic(), self.displaced + self.refused
        if now - self._logged < LOG_SECONDS:
            return
        log.warning(
            "%s: too many connections (at most %d, %d of one address), %d closed or refused since the last message",
            self._what, self.total, self.per_group, count - self._logged_count,
        )  # fmt: skip
        self._logged, self._logged_count = now, count


def group_of(address: str) -> str:
    """What the connections of an IP address count for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, 64), strict=False))
