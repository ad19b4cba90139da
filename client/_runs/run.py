"""Scores videos through a client, several at a time, in order of completion or of the input."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from .._first_pass.first_pass import FirstPass, SkippedVideo
from .._first_pass.look import Look
from .._inputs.item import Item
from .._remote.addresses import is_remote
from .._remote.reading import read_remote
from .._sdk.client import Client
from .._sdk.request import MAX_BYTES
from .._sdk.result import Score
from ..errors import ClientError, InvalidRequest
from .part_times import item_parameters
from .signal_options import SignalOptions

TWO_PARTS = "both the manifest and the command line select a part of the video"
_RESULTS_PER_SLOT = 8
"""Results held for each video in flight, until the caller takes them."""


@dataclass(frozen=True)
class VideoResult:
    """The result for one video."""

    item: Item
    """The video."""
    result: Score | SkippedVideo | ClientError
    """Its score, or why it has none."""
    look: Look | None = None
    """What a first pass saw of it, if it looked to the end."""


class Scoring(Protocol):
    """Scores one video."""

    def __call__(self, item: Item, data: bytes | None = None) -> VideoResult:
        """data: the encoded file, if it was read already."""


R = TypeVar("R")


class Run(Generic[R]):
    """Scores videos with a fixed number in flight; holds no more than a few results for each."""

    def __init__(
        self, score: Callable[[Item], R], items: Iterable[Item], *, in_flight: int, ordered: bool = False
    ) -> None:
        """Starts when the caller iterates over it.

        score: scores one video; `in_flight` threads call it.
        items: read as needed, by one of these threads at a time.
        ordered: yield results in the order of `items`; a slow video then delays those after it.
        """
        self._score = score
        self._items = enumerate(items)
        self._in_flight = in_flight
        self._ordered = ordered
        self._results: queue.SimpleQueue[tuple[int, R | BaseException] | None] = queue.SimpleQueue()
        self._slots = threading.Semaphore(in_flight * _RESULTS_PER_SLOT)
        self._take = threading.Lock()
        self._stopped = False
        self._taken = self._received = self._ended = 0

    def stop(self) -> None:
        """Take no more videos; results of those in flight still come. Takes no lock, so signal handlers may call it."""
        self._stopped = True

    def __iter__(self) -> Iterator[R]:
        for _ in range(self._in_flight):
            # Daemons: at the end, one may still be blocked on a line of standard input.
            threading.Thread(target=self._work, daemon=True).start()
        early: dict[int, R] = {}
        next_number = 0
        failure: BaseException | None = None
        try:
            while (received := self._receive()) is not None:
                number, result = received
                if isinstance(result, BaseException):
                    failure = failure or result
                    self.stop()
                    continue
                early[number if self._ordered else next_number] = result
                while next_number in early:
                    yield early.pop(next_number)
                    next_number += 1
                    self._slots.release()
            for number in sorted(early):  # left over if the run was stopped
                yield early[number]
        finally:
            self.stop()
            while self._receive() is not None:
                pass  # wait for calls in flight: cancelling one can crash the server
            self._slots.release(self._in_flight)  # wake threads that wait for a slot, so that they end
        if failure:
            raise failure

    def _receive(self) -> tuple[int, R | BaseException] | None:
        """The next message of a thread; None when there are no more."""
        while self._ended < self._in_flight and not (self._stopped and self._received == self._taken):
            try:
                got = self._results.get(timeout=0.2)
            except queue.Empty:
                continue
            if got is None:
                self._ended += 1
            else:
                self._received += got[0] >= 0
                return got
        return None

    def _work(self) -> None:
        try:
            while item := self._next():
                number, video = item
                try:
                    result: R | BaseException = self._score(video)
                except BaseException as error:
                    result = error
                self._results.put((number, result))
        except BaseException as error:
            self._results.put((-1, error))  # from reading the items, not from scoring a video
        self._results.put(None)

    def _next(self) -> tuple[int, Item] | None:
        self._slots.acquire()
        with self._take:
            item = None if self._stopped else next(self._items, None)
            if item is None or self._stopped:
                self._slots.release()
                return None
            self._taken += 1
            return item


def selects_part_twice(item: Item, parameters: dict[str, float]) -> bool:
    """Whether both the item's row in a manifest and the command line select a part of the video."""
    return bool(item.part and parameters.keys() & {"start_seconds", "end_seconds"})


def scoring(
    client: Client,
    parameters: dict[str, float],
    signals: SignalOptions | None = None,
    first_pass: FirstPass | None = None,
) -> Scoring:
    """A function that scores one video with these parameters and those of its part; `signals` must be settled.

    first_pass: looks at each video first; those that it skips are not sent.
    """
    named = {} if signals is None else signals.arguments()

    def score(item: Item, data: bytes | None = None) -> VideoResult:
        if item.problem is not None:
            return VideoResult(item, item.problem)
        if selects_part_twice(item, parameters):
            return VideoResult(item, InvalidRequest(TWO_PARTS, reason="invalid_parameter"))
        video: str | bytes = item.path if item.content is None else item.content.take()
        if data is not None:
            video = data
        if first_pass is not None and isinstance(video, str) and is_remote(video):
            try:
                video = read_remote(video, MAX_BYTES)  # once, for both
            except ClientError as error:
                return VideoResult(item, error)
        wanted = item_parameters(parameters, item)
        look = None if first_pass is None else first_pass.look(video, wanted)
        if first_pass is not None and (skipped := first_pass.skipped(look)):
            return VideoResult(item, skipped, look)
        try:
            result = client.score(video, **wanted, **named)  # type: ignore[arg-type]
            return VideoResult(item, result if signals is None else signals.kept(result), look)
        except ClientError as error:
            return VideoResult(item, error, look)

    return score
