"""Scores many videos at once in one process: an event loop in a thread of its own, with one client for all callers."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._runs.signal_options import SignalOptions
from .._sdk.async_client import AsyncClient
from .._sdk.result import Score
from .._sdk.signals import NotServed
from .._sdk.tls import Tls
from ..errors import ClientError, ServerAway, ServerUnavailable

RETRIES = 10
"""How often the client repeats a request whose server has no room, before `Scorer` counts one round."""
ROUNDS = 3
"""Rounds after which a video that no server has memory or time for becomes a failure."""
WAIT_SECONDS = 1.0
FULL_SECONDS = 1.0
"""Pause between rounds."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Servers:
    """The servers, and how an actor calls them."""

    urls: tuple[str, ...]
    """Host and gRPC port of each, or `dns:///NAME:PORT`."""
    timeout_seconds: float = 600.0
    """How long to wait for each answer."""
    away_seconds: float = 600.0
    """How long all of them may be unreachable."""
    tls: Tls | None = None
    """How to encrypt the connections; the files must be on every node."""
    in_flight: int = 32
    """Videos in flight at once in each actor."""


@dataclass(frozen=True)
class Job:
    """A video to score."""

    video: str | bytes
    """Its path, or the whole encoded file."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """The parameters of its request."""


class Scorer:
    """Scores videos with at most `in_flight` at once, whichever thread asks; calls share the slots in order."""

    def __init__(self, servers: Servers, signals: SignalOptions | None = None) -> None:
        """signals: what to compute, settled; None for motion and camera."""
        self._servers = servers
        self._signals = signals
        self._named: dict[str, Any] = {} if signals is None else signals.arguments()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="scorer", daemon=True).start()
        self._run(self._connect())

    def score(self, jobs: Sequence[Job]) -> list[Score | ClientError]:
        """What became of each video, in their order.

        A full queue is waited for without end: the caller is given no more videos meanwhile. Raises `ServerAway` if no
        server was ready for `away_seconds`, and `NotServed`.
        """
        return self._run(self._all(jobs))

    def close(self) -> None:
        """Close the connections."""
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _connect(self) -> None:
        servers = self._servers
        self._slots = asyncio.Semaphore(servers.in_flight)
        self._client = AsyncClient(
            servers.urls,
            timeout_seconds=servers.timeout_seconds,
            away_seconds=servers.away_seconds,
            retries=RETRIES,
            max_in_flight=servers.in_flight,
            tls=servers.tls,
        )

    async def _all(self, jobs: Sequence[Job]) -> list[Score | ClientError]:
        # Not a TaskGroup: it would cancel the calls in flight, which can crash a server without a proxy.
        results = await asyncio.gather(*map(self._one, jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result.outcome for result in results if isinstance(result, _Outcome)]

    async def _one(self, job: Job) -> "_Outcome":
        rounds = 0
        arguments: dict[str, Any] = {**job.parameters, **self._named}
        async with self._slots:
            while True:
                try:
                    score = await self._client.score(job.video, **arguments)
                    return _Outcome(score if self._signals is None else self._signals.kept(score))
                except NotServed:
                    raise
                except ServerAway as error:
                    if await self._client.is_ready():
                        return _Outcome(error)  # the server is up: this video made it fail
                    await self._wait_until_ready(error)
                except ServerUnavailable as error:
                    rounds += error.reason != "queue_full"
                    if rounds == ROUNDS:
                        return _Outcome(error)
                    await asyncio.sleep(FULL_SECONDS)
                except ClientError as error:
                    return _Outcome(error)

    async def _wait_until_ready(self, error: ServerAway) -> None:
        """Also for a client that no server has ever answered, as after the restart of its actor."""
        deadline = self._loop.time() + self._servers.away_seconds
        while not await self._client.is_ready():
            if self._loop.time() >= deadline:
                raise error
            await asyncio.sleep(min(WAIT_SECONDS, self._servers.away_seconds))


@dataclass(frozen=True)
class _Outcome:
    """A result that `gather` cannot take for an exception that was raised."""

    outcome: Score | ClientError
