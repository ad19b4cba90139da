"""The model of a whole run: only failures and restarts are events, and videos flow between them. For days."""

import random
from collections.abc import Generator
from dataclasses import dataclass

import simpy

from bench.scale.system import Failures

HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Run:
    """A whole run."""

    seconds: float
    """Its length."""
    failures: int
    """Servers that failed."""
    repeated: float
    """Videos that were scored again."""
    lost_seconds: float
    """Server-seconds without work."""


def whole_run(
    videos: float, servers: int, videos_per_second: float, in_flight: float, failures: Failures, seed: int = 0
) -> Run:
    """A run over so many videos.

    videos_per_second: of all servers while all are up, from the model of single videos; it is taken to fall in
    proportion to the servers that are down. in_flight: videos that a server holds, and that are scored again if it
    fails.
    """
    flow = _Flow(videos, servers, videos_per_second, in_flight, failures, seed)
    return flow.run()


class _Flow:
    def __init__(
        self, videos: float, servers: int, rate: float, in_flight: float, failures: Failures, seed: int
    ) -> None:
        self._left, self._servers, self._rate, self._in_flight = videos, servers, rate, in_flight
        self._failures = failures
        self._random = random.Random(seed)
        self._world = simpy.Environment()
        self._down = 0
        self._since = 0.0
        self._failed, self._repeated, self._lost = 0, 0.0, 0.0
        self._done = self._world.event()
        self._changed = self._world.event()

    def run(self) -> Run:
        if self._failures.mean_hours != float("inf"):
            for _ in range(self._servers):
                self._world.process(self._life())
        self._world.process(self._work())
        self._world.run(self._done)
        return Run(self._world.now, self._failed, self._repeated, self._lost)

    def _life(self) -> Generator[simpy.Event, None, None]:
        while True:
            yield self._world.timeout(self._random.expovariate(1 / (self._failures.mean_hours * HOUR_SECONDS)))
            self._settle()
            self._down += 1
            self._failed += 1
            self._repeated += self._in_flight
            self._left += self._in_flight
            self._wake()
            yield self._world.timeout(self._failures.restart_seconds)
            self._settle()
            self._down -= 1
            self._wake()

    def _settle(self) -> None:
        """Take off what flowed since the last event."""
        passed = self._world.now - self._since
        self._left -= passed * self._now()
        self._lost += passed * self._down
        self._since = self._world.now

    def _now(self) -> float:
        return self._rate * (self._servers - self._down) / self._servers

    def _wake(self) -> None:
        changed, self._changed = self._changed, self._world.event()
        changed.succeed()

    def _work(self) -> Generator[simpy.Event, None, None]:
        while True:
            rate = self._now()
            if rate <= 0:
                yield self._changed
                continue
            end = self._world.timeout(max(self._left, 0) / rate)
            yield end | self._changed
            if end.processed:
                self._settle()
                self._done.succeed()
                return
