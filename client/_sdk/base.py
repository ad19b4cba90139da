"""What both clients share: everything but how they wait."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .attempts import RetryPolicy
from .balance import Balancer
from .result import Weights
from .tls import Tls


class BaseClient(ABC):
    """The servers, and how long to keep trying them."""

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
        """Connects with the first request.

        url: host and gRPC port, or a sequence of them: servers with the same weights that share the load.
        timeout_seconds: how long to wait for each answer.
        away_seconds: how long all servers may be unreachable or restarting, once one of them has answered.
        retries: how often to retry, with growing pauses, if the queue is full; a missed deadline is retried once.
        max_in_flight: requests in flight at once; further calls wait before they read their files.
        tls: how to encrypt the connection; None: not encrypted.

        Raises ValueError if `url` is empty or `max_in_flight` is below 1, `UnreadableFile` if a file of `tls` is.
        """
        self.urls = (url,) if isinstance(url, str) else tuple(dict.fromkeys(url))
        if not self.urls:
            raise ValueError("url is empty, it must name a server")
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, it must be at least 1")
        self.timeout_seconds = timeout_seconds
        self._max_in_flight = max_in_flight
        self._tls = tls
        self._policy = RetryPolicy(retries, away_seconds)
        self._balancer = Balancer(self.urls)
        self._served: Weights | None = None
        """What the last answer with signals said; None before it."""
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Set up what depends on threads or asyncio."""
