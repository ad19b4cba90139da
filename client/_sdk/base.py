"""What both clients have in common: everything but how they wait."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .attempts import Patience
from .balance import Balancer
from .tls import Tls


class BaseClient(ABC):
    """Servers, and how long to put up with them."""

    def __init__(
        self,
        url: str | Sequence[str] = "localhost:8001",
        *,
        timeout_seconds: float = 600.0,
        away_seconds: float = 30.0,
        retries: int = 3,
        max_in_flight: int = 32,
        tls: Tls | None = None,
    ) -> None:
        """Connect when first asked.

        url: host and gRPC port, or those of several servers with the same weights, which share the load.
        timeout_seconds: how long to wait for each answer.
        away_seconds: how long servers may all be away, or start a part of themselves again, once one has answered.
        retries: how often to ask again, after ever longer pauses, where a queue is full; once where a deadline passed.
        max_in_flight: how many requests may be under way at once; calls beyond that wait, their files unread.
        tls: connect encrypted.
        """
        self.urls = (url,) if isinstance(url, str) else tuple(dict.fromkeys(url))
        if not self.urls:
            raise ValueError("url is empty, it must name a server")
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, it must be at least 1")
        self.timeout_seconds = timeout_seconds
        self._max_in_flight = max_in_flight
        self._tls = tls
        self._patience = Patience(retries, away_seconds)
        self._balancer = Balancer(self.urls)
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Make what depends on how the client waits."""
