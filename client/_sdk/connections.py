"""The connections of a client, one to each server.

Balancers forget idle connections without telling either side. So a connection that was idle for a while, or on which a
call timed out, is replaced, and closed after its last call.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tritonclient.utils import InferenceServerException

from ..errors import ClientError
from .proxies import Proxy, proxy_for
from .triton_errors import is_deadline, is_too_many_pings

FORGET_SECONDS = 60.0
"""A connection that had no call for so long is closed: its server may have gone for good."""
IDLE_SECONDS = 2.0
"""A connection that had no call for so long is replaced: a new one takes milliseconds, a forgotten one a timeout."""
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


class Connect(Protocol[C_co]):
    """`channels.connect` or `channels.connect_async`, with credentials."""

    def __call__(self, url: str, *, host: str | None, own: bool, pings: bool) -> C_co: ...


@dataclass(eq=False)
class Connection(Generic[C]):
    """A connection to a server, as long as one of its calls needs it."""

    url: str
    client: C
    """tritonclient's."""
    proxy: Proxy | None
    """The HTTP proxy of the environment for this server."""
    calls: int = 0
    """Calls under way."""
    last_use: float = 0.0
    """When its last call ended, on the clock of `Connections`."""
    answered: bool = False
    """Whether it has answered a call."""
    replaced: bool = False
    """Whether new calls use another one."""


class Connections(Generic[C]):
    """The connection to each server; safe to use from several threads."""

    def __init__(
        self,
        connect: Connect[C],
        host_of: Callable[[str], str | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`host_of` gives the name through which a server was found, or None."""
        self._connect = connect
        self._host_of = host_of
        self._clock = clock
        self._current: dict[str, Connection[C]] = {}
        self._to_close: list[C] = []
        self._renewed: set[str] = set()
        self._without_pings: set[str] = set()
        self.closed = False
        self._lock = threading.Lock()

    def acquire(self, url: str) -> Connection[C]:
        """The connection for a call, to be released when the call has ended. Raises `ClientError` after `close`."""
        with self._lock:
            if self.closed:
                raise ClientError("the client is closed")
            for other in [one for one in self._current.values() if not one.calls and self._idle(one) > FORGET_SECONDS]:
                self._retire(other)
            current = self._current.get(url)
            if current and not current.calls and self._idle(current) > IDLE_SECONDS:
                self._retire(current)
            if url not in self._current:
                # gRPC shares connections between channels that are alike: a new one needs to be its own.
                host, pings = self._host_of(url), url not in self._without_pings
                client = self._connect(url, host=host, own=url in self._renewed, pings=pings)
                self._current[url] = Connection(url, client, proxy_for(host or url))
            connection = self._current[url]
            connection.calls += 1
            return connection

    def release(self, connection: Connection[C]) -> list[C]:
        """A call has ended; returns what the caller must close now."""
        with self._lock:
            connection.calls -= 1
            connection.last_use = self._clock()
            if connection.replaced and not connection.calls:
                self._to_close.append(connection.client)
            unused, self._to_close = self._to_close, []
            return unused

    @contextmanager
    def watch(self, connection: Connection[C]) -> Iterator[C]:
        """The client to make a call with; if the connection may be why the call fails, later ones get another one.

        A balancer that has forgotten a connection swallows what is sent on it, so a call that times out is a sign.
        """
        try:
            yield connection.client
        except InferenceServerException as error:
            if is_deadline(error) or is_too_many_pings(error):
                with self._lock:
                    if is_too_many_pings(error):
                        self._without_pings.add(connection.url)
                    self._retire(connection)
            raise
        connection.answered = True

    def close(self) -> list[C]:
        """Make no more connections; returns those that new calls would have used, for the caller to close."""
        with self._lock:
            self.closed = True
            clients = [connection.client for connection in self._current.values()] + self._to_close
            self._current.clear()
            self._to_close = []
            return clients

    def _idle(self, connection: Connection[C]) -> float:
        return self._clock() - connection.last_use

    def _retire(self, connection: Connection[C]) -> None:
        if self._current.get(connection.url) is not connection:
            return
        del self._current[connection.url]
        self._renewed.add(connection.url)
        connection.replaced = True
        if not connection.calls:
            self._to_close.append(connection.client)
