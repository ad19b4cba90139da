"""The model of single videos: every read, every decoding and every batch is an event. For minutes of a large system."""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field

import simpy

from bench.scale.system import Clip, Machines

Process = Generator[simpy.Event, None, None]
BACKOFF_SECONDS = 0.25
"""Pause after a refusal; it doubles, up to `LONGEST_BACKOFF_SECONDS`, as the client's does."""
LONGEST_BACKOFF_SECONDS = 10.0
LARGEST = 10.0


@dataclass
class Outcome:
    """What became of a simulated run."""

    seconds: float = 0.0
    """From the start to the last row."""
    videos: int = 0
    """Rows."""
    megabytes: float = 0.0
    """Bytes read, repetitions included."""
    repeated: int = 0
    """Videos that were sent again because a server died with them."""
    refused: int = 0
    """Requests that a full queue refused."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of the time for which each kind of resource was in use."""
    ends: list[float] = field(default_factory=list)
    """When each row was written."""

    @property
    def videos_per_second(self) -> float:
        """Rows a second between the tenth and the last tenth of the rows: without start and end."""
        first, last = int(0.1 * len(self.ends)), int(0.9 * len(self.ends))
        return (last - first) / max(self.ends[last] - self.ends[first], 1e-9)

    @property
    def bound_by(self) -> str:
        """The kind of resource that was used most."""
        return max(self.busy, key=lambda name: self.busy[name])


class Pool:
    """A resource, and the time for which it was used."""

    def __init__(self, world: simpy.Environment, capacity: int) -> None:
        self.resource = simpy.Resource(world, capacity)
        self.used_seconds = 0.0
        self._world = world

    def use(self, seconds: float) -> Process:
        """Wait for one of its places, and hold it for so long."""
        with self.resource.request() as place:
            yield place
            yield self._world.timeout(seconds)
            self.used_seconds += seconds


class Server:
    """One server: a bounded queue, decoders and networks."""

    def __init__(self, world: simpy.Environment, machines: Machines, cores: Pool | None) -> None:
        self.in_flight = 0
        self.sent = 0
        self.up = True
        self.lives = 0
        """How often it died."""
        self._machines = machines
        self.decoders = Pool(world, machines.decoders)
        self.networks = Pool(world, machines.networks)
        self._cores = cores

    @property
    def is_full(self) -> bool:
        """Whether it refuses another video."""
        return self.in_flight >= self._machines.queue

    def compute(self, clip: Clip, share: float) -> Process:
        """Decode a video, then run the networks on it; `share` is its size beside the mean one."""
        yield from self._on(self.decoders, clip.decode_seconds * share)
        yield from self._on(self.networks, clip.network_seconds * share)
        if self._cores is not None and clip.cpu_seconds:
            yield from self._cores.use(clip.cpu_seconds)

    def _on(self, pool: Pool, seconds: float) -> Process:
        if self._cores is None:
            yield from pool.use(seconds)
            return
        with pool.resource.request() as place:
            yield place
            yield from self._cores.use(seconds)
            pool.used_seconds += seconds


class Simulation:
    """One run of so many videos."""

    def __init__(
        self,
        clip: Clip,
        machines: Machines,
        videos: int,
        *,
        seed: int = 0,
        dead_at: float | None = None,
        dead_seconds: float = 0.0,
        notice_seconds: float = 0.0,
    ) -> None:
        """dead_at: one server dies then, and is back after `dead_seconds`; its videos are sent again after a notice."""
        self._clip, self._machines, self._count = clip, machines, videos
        self._random = random.Random(seed)
        self._world = simpy.Environment()
        self._cores = Pool(self._world, machines.cores) if machines.cores else None
        self._servers = [Server(self._world, machines, self._cores) for _ in range(machines.servers)]
        self._links = [Pool(self._world, 1) for _ in range(machines.readers)]
        self._storage = Pool(self._world, 1)
        self._driver = Pool(self._world, 1)
        self._left = videos
        self._dead = (dead_at, dead_seconds, notice_seconds)
        self._order: deque[Server] = deque(self._servers)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Until the last row."""
        world, machines = self._world, self._machines
        slots = [world.process(self._slot(link)) for link in self._links for _ in range(machines.in_flight)]
        if self._dead[0] is not None:
            world.process(self._death(self._dead[0]))
        world.run(simpy.AllOf(world, slots))
        outcome = self.outcome
        outcome.seconds = world.now
        working = max(world.now - machines.start_seconds, 1e-9)
        servers = machines.servers
        outcome.busy = {
            "NVDEC": sum(one.decoders.used_seconds for one in self._servers) / (working * servers * machines.decoders),
            "networks": sum(one.networks.used_seconds for one in self._servers)
            / (working * servers * machines.networks),
            "storage": self._storage.used_seconds / working,
            "readers": sum(link.used_seconds for link in self._links) / (working * machines.readers),
            "driver": self._driver.used_seconds / working,
        }
        if self._cores is not None:
            outcome.busy = {"cores": self._cores.used_seconds / (working * machines.cores)}
        return outcome

    def _slot(self, link: Pool) -> Process:
        """One of a reader's places: a video after the other."""
        yield self._world.timeout(self._machines.start_seconds)
        while self._left:
            self._left -= 1
            share = min(self._random.expovariate(1.0), LARGEST)
            yield from self._video(link, share)
            yield from self._driver.use(1 / self._machines.driver_videos_per_second)
            self.outcome.videos += 1
            self.outcome.ends.append(self._world.now)

    def _video(self, link: Pool, share: float) -> Process:
        machines, megabytes = self._machines, self._clip.megabytes * share
        self.outcome.megabytes += megabytes
        yield self._world.timeout(machines.storage_seconds)
        yield from self._storage.use(megabytes / machines.storage_megabytes_per_second)
        refusals = 0
        while True:
            server = self._choice()
            if server.is_full:
                self.outcome.refused += 1
                longest = min(BACKOFF_SECONDS * 2**refusals, LONGEST_BACKOFF_SECONDS)
                refusals += 1
                yield self._world.timeout(longest * self._random.uniform(0.5, 1.0))
                continue
            server.in_flight += 1
            server.sent += 1
            life = server.lives
            yield from link.use(megabytes / machines.reader_megabytes_per_second)
            if life == server.lives:
                yield from server.compute(self._clip, share)
            if life == server.lives:
                server.in_flight -= 1
                return
            self.outcome.repeated += 1
            yield self._world.timeout(self._dead[2])

    def _choice(self) -> Server:
        """As the client: the server that is up with the fewest in flight.

        Of many, the better of two drawn by chance, which is about how independent clients come out.
        """
        up = [one for one in (self._random.sample(self._servers, min(2, len(self._servers)))) if one.up]
        if not up:
            up = [one for one in self._servers if one.up] or self._servers
        return min(up, key=lambda one: (one.in_flight, one.sent))

    def _death(self, at: float) -> Process:
        yield self._world.timeout(at)
        server = self._servers[0]
        server.up, server.lives, server.in_flight = False, server.lives + 1, 0
        yield self._world.timeout(self._dead[1])
        server.up = True
