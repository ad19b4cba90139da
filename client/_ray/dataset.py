"""`score`: a dataset of videos to a dataset of scores."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from .._runs.part_times import item_parameters
from .._runs.run import TWO_PARTS, selects_part_twice
from .._runs.signal_options import EmbeddingsType, SignalOptions
from .._sdk.client import Client
from .._sdk.parameters import RANGES, REASON, Parameters, given
from .._sdk.signals import asked_for
from .._sdk.tls import Tls
from ..errors import ClientError, InvalidRequest, UnreadableFile
from .installed import check_installed, ray_module
from .pool import Actors, map_blocks
from .scorer import Servers


def score(
    dataset: Any,
    urls: str | Sequence[str] = "localhost:8001",
    *,
    column: str = "path",
    name: str | None = None,
    keep: Sequence[str] = (),
    concurrency: int | tuple[int, int] = 1,
    in_flight: int = 32,
    rows_per_block: int = 64,
    num_cpus: float = 1.0,
    timeout_seconds: float = 600.0,
    away_seconds: float = 600.0,
    tls: Tls | None = None,
    heads: str | Iterable[str] | None = None,
    embeddings_dtype: EmbeddingsType = "float32",
    **parameters: Unpack[Parameters],
) -> Any:
    """Score the videos of a Ray dataset: a lazy `ray.data.Dataset` with a row for each of its rows.

    dataset: a `ray.data.Dataset`. Its columns `start_seconds` and `end_seconds`, if any, select a part of each video.
    urls: host and gRPC port of each server, or `dns:///NAME:PORT`; the servers must have the same weights.
    column: paths (text; each readable where the actors run), encoded files (binary), or structs with `bytes` and
        `path`.
    name: the column with the names of encoded files (default: `path`; without one, a digest of the file).
    keep: columns of the dataset that the result has too, after its own.
    concurrency: number of actors, or the least and the most of them.
    in_flight: videos that each actor has in flight; the actors call asynchronously, so one CPU holds many.
    rows_per_block: videos that Ray hands to an actor at once, and repeats if the actor is lost.
    num_cpus: CPUs that each actor reserves. What reads the dataset needs others: a warning says if there are none.
    timeout_seconds, tls: as for `Client`.
    away_seconds: how long all servers may be unreachable before the execution fails with `ServerAway`.
    heads, parameters: as for `Client.score`.
    embeddings_dtype: `float32` or `float16`.

    The columns are those of `table.read_table`, but that embeddings are lists of lists of any width; blocks have the
    table's metadata. A video that fails is a row with `error`, `error_kind` and `reason`. A full queue fails no video:
    the actor waits, and Ray reads no further. Rows of a block keep their order, and the result has each row once, also
    if nodes and actors die.

    Asks a server for its weights, and raises `ClientError` if none answers or what is asked for is not served;
    ValueError for an option out of range; ImportError without Ray. While it executes, other weights than these, a
    missing column (ValueError) or one of another type (TypeError) are errors of Ray with that cause.
    """
    if isinstance(concurrency, int):
        concurrency = (concurrency, concurrency)
    if not 1 <= concurrency[0] <= concurrency[1]:
        raise ValueError(f"concurrency is {concurrency}, it must be at least 1, and the most at least the least")
    for option, value in (("in_flight", in_flight), ("rows_per_block", rows_per_block)):
        if value < 1:
            raise ValueError(f"{option} is {value}, it must be at least 1")
    if not num_cpus > 0:
        raise ValueError(f"num_cpus is {num_cpus:g}, it must be above 0")
    if embeddings_dtype not in ("float32", "float16"):
        raise ValueError(f"embeddings_dtype is {embeddings_dtype!r}, it must be 'float32' or 'float16'")
    numbers = given(parameters)
    _check(numbers)
    asked = asked_for(parameters.get("signals"), heads, numbers)
    signals = None if asked is None else SignalOptions(asked, embeddings_dtype)
    check_installed("video_motion.ray")
    from .rows import Columns

    with Client(urls, timeout_seconds=timeout_seconds, away_seconds=away_seconds, tls=tls) as client:
        weights = client.weights()
        known = client.urls
    if signals is not None:
        signals = signals.settled(weights)
    columns = Columns(weights, numbers, signals)
    if taken := [one for one in keep if one in columns.names]:
        raise ValueError(f"keep names {taken[0]!r}, which is a column of the scores: rename it in the dataset")
    work = Work(column, name, tuple(keep), numbers, signals, columns)
    servers = Servers(known, timeout_seconds, away_seconds, tls, in_flight)
    blocks = dataset.repartition(target_num_rows_per_block=rows_per_block, strict=True)
    actors = Actors(*concurrency, num_cpus, rows_per_block)
    _leave_cpus(ray_module("video_motion.ray"), actors)
    return map_blocks(blocks, work, servers, actors)


@dataclass(frozen=True)
class Work:
    """What an actor does with a block: scores its videos, and gives a table."""

    column: str
    name: str | None
    keep: tuple[str, ...]
    parameters: dict[str, float]
    signals: SignalOptions | None
    columns: Any
    """`rows.Columns`."""

    def __call__(self, scorer: Any, block: Any) -> Any:
        """scorer: a `Scorer`; block: a `pyarrow.Table`. Returns the table of scores."""
        from .._tables.row import failed_row, scored_row
        from .scorer import Job
        from .videos import videos_of

        if missing := [one for one in self.keep if one not in block.column_names]:
            raise ValueError(
                f"the dataset has no column {missing[0]!r} to keep; it has {', '.join(block.column_names)}"
            )
        videos = videos_of(block, self.column, self.name)
        results: list[Any] = [None] * len(videos)
        jobs, numbers = [], []
        for number, one in enumerate(videos):
            if one.video is None:
                results[number] = UnreadableFile("the row has no video")
            elif selects_part_twice(one.item, self.parameters):
                results[number] = InvalidRequest(TWO_PARTS.replace("manifest", "dataset"), reason=REASON)
            else:
                jobs.append(Job(one.video, item_parameters(self.parameters, one.item)))
                numbers.append(number)
        for number, result in zip(numbers, scorer.score(jobs), strict=True):
            results[number] = result
        rows = []
        for one, result in zip(videos, results, strict=True):
            parameters = item_parameters(self.parameters, one.item)
            if isinstance(result, ClientError):
                rows.append(failed_row(one.item.video, result, parameters))
            else:
                self.check(result)
                rows.append(scored_row(one.item.video, result, parameters))
        table = self.columns.table(rows)
        for kept in self.keep:
            table = table.append_column(block.schema.field(kept), block.column(kept))
        return table

    def check(self, result: Any) -> None:
        """Raise `OtherWeights` if a score comes from other weights than the first answer."""
        from .._runs.table_run import served

        if (found := served(result.weights, self.signals)) != self.columns.served:
            raise OtherWeights(f"a server has other weights than the first: {found}, not {self.columns.served}")


class OtherWeights(ClientError):
    """The servers do not have the same weights."""


def _leave_cpus(ray: Any, actors: Actors) -> None:
    """Warn if the actors take all CPUs: Ray then waits without end for one to read with, unless the cluster grows."""
    if not ray.is_initialized():
        return
    reserved, cpus = actors.least * actors.num_cpus, ray.cluster_resources().get("CPU", 0.0)
    if reserved >= cpus:
        warnings.warn(
            f"the actors reserve {reserved:g} CPUs and the cluster has {cpus:g}: none is left to read the dataset "
            "with. Unless the cluster grows, lower concurrency or num_cpus",
            stacklevel=3,
        )


def _check(numbers: dict[str, float]) -> None:
    """Raise `InvalidRequest` for what every server would refuse in every request."""
    for name, value in numbers.items():
        if name in RANGES:
            low, high = RANGES[name]
            if not (math.isfinite(value) and low <= value <= high):
                allowed = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
                raise InvalidRequest(f"the parameter {name} is {value:g}, it must be {allowed}", reason=REASON)
