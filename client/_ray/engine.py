"""The engine of `score --engine ray`: the items of a run go to Ray in blocks, the results come back to the journal."""

import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .._counted import counted
from .._inputs.item import Item
from .._runs.part_times import item_parameters
from .._runs.run import TWO_PARTS, VideoResult, selects_part_twice
from .._runs.signal_options import SignalOptions
from .._sdk.parameters import REASON
from ..errors import ClientError, InvalidRequest
from .address import LOCAL, Address, ClusterError
from .installed import check_installed, ray_module
from .pool import Actors, map_blocks
from .scorer import Job, Scorer, Servers

WHAT = "--engine ray"
NICENESS = "RAY_worker_niceness"
"""The variable of Ray for the nice value of its workers, which is 15 otherwise."""


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster, and how much of it to use."""

    address: Address = field(default_factory=Address)
    """Where it is; `local`: a cluster of this machine that ends with the command."""
    actors: int = 1
    """Number of actors."""


class RayRun:
    """As `Run`, on Ray: iterate to get the results of the items, in any order."""

    def __init__(
        self,
        items: Iterator[Item],
        parameters: dict[str, float],
        signals: SignalOptions | None,
        *,
        servers: Servers,
        cluster: Cluster,
    ) -> None:
        """Connects to the cluster. Raises `ClusterError`, and ImportError without Ray.

        items: read as needed. signals: settled. servers: `in_flight` is for each actor.
        """
        self._items = items
        self._parameters = parameters
        self._signals = signals
        self._servers = servers
        self._cluster = cluster
        self._stopped = False
        self._ray = ray_module(WHAT)
        self._owns = not self._ray.is_initialized()
        if self._owns:
            self._connect()

    def stop(self) -> None:
        """Take no more blocks; what is in flight is scored again by the next run. Signal handlers may call it."""
        self._stopped = True

    def __iter__(self) -> Iterator[VideoResult]:
        from .waves import waves

        wrong: list[VideoResult] = []
        try:
            for wave in waves(self._sound(wrong)):
                yield from wrong
                wrong.clear()
                if self._stopped:
                    return
                yield from self._score(wave)
                if self._stopped:
                    return
            yield from wrong
        finally:
            if self._owns:
                self._ray.shutdown()

    def _sound(self, wrong: list[VideoResult]) -> Iterator[Item]:
        """The items that can be scored; results for the others are added to `wrong`."""
        for item in self._items:
            if self._stopped:
                return
            if item.problem is not None:
                wrong.append(VideoResult(item, item.problem))
            elif selects_part_twice(item, self._parameters):
                wrong.append(VideoResult(item, InvalidRequest(TWO_PARTS, reason=REASON)))
            else:
                yield item

    def _score(self, wave: Any) -> Iterator[VideoResult]:
        ray = self._ray
        dataset = ray.data.from_arrow_refs([ray.put(block) for block in wave.blocks])
        work = _Work(self._parameters, self._signals)
        actors = Actors(self._cluster.actors, self._cluster.actors, 1.0, max(block.num_rows for block in wave.blocks))
        results = map_blocks(dataset, work, self._servers, actors)
        waiting: dict[int, Item] = wave.items
        try:
            for block in results.iter_batches(batch_size=None, batch_format="pyarrow"):
                numbers, packed = block.column("number").to_pylist(), block.column("result").to_pylist()
                for number, result in zip(numbers, packed, strict=True):
                    if (item := waiting.pop(number, None)) is not None:
                        yield VideoResult(item, pickle.loads(result))
                if self._stopped:
                    return
        except ray.exceptions.RayError as error:
            raise _cause(error) from error
        if waiting:
            raise ClusterError(f"Ray ended without the results of {counted(len(waiting), 'video')}")

    def _connect(self) -> None:
        address, own = self._cluster.address, dict[str, Any]()
        address.check()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray sends statistics to its makers
        if address.text == LOCAL:
            own = {"include_dashboard": False, "num_cpus": self._cluster.actors}  # of more CPUs, each gets a process
            # Beside a server on this machine, nice workers would not keep it busy.
            os.environ.setdefault(NICENESS, "0")
        try:
            self._ray.init(address.text, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # what it raises if a node does not start in time is of no class of its own
            sentence = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ClusterError(f"no Ray cluster {address}: {sentence}") from error
        context = self._ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)


def engine(servers: Servers, cluster: Cluster) -> Any:
    """What `run_table` takes as its engine. Raises ImportError with a sentence if Ray is not installed."""
    check_installed(WHAT)
    return partial(RayRun, servers=servers, cluster=cluster)


@dataclass(frozen=True)
class _Work:
    """Scores a block of `waves`; a result is pickled, so that it is the same as without Ray."""

    parameters: dict[str, float]
    signals: SignalOptions | None

    def __call__(self, scorer: Scorer, block: Any) -> Any:
        import pyarrow as pa

        results = scorer.score([self._job(row) for row in block.to_pylist()])
        packed = pa.array([pickle.dumps(result) for result in results], pa.large_binary())
        return pa.table({"number": block.column("number"), "result": packed})

    def _job(self, row: dict[str, Any]) -> Job:
        path = os.fsdecode(row["path"])
        parameters = item_parameters(self.parameters, Item(path, row["start_seconds"], row["end_seconds"]))
        return Job(path if row["content"] is None else row["content"], parameters)


def _cause(error: BaseException) -> ClientError:
    """The client's error behind one of Ray's."""
    seen: BaseException | None = error
    while seen is not None:
        inner = getattr(seen, "cause", None)
        if isinstance(seen, ClientError):
            return seen
        if isinstance(inner, ClientError):
            return inner
        seen = inner if isinstance(inner, BaseException) and inner is not seen else seen.__cause__
    first = str(error).strip().splitlines()
    return ClusterError(f"Ray failed: {first[-1] if first else type(error).__name__}")
