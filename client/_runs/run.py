"""Videos through a client, several at a time, in an order of their own or in that of the input."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .._inputs.item import Item
from .._sdk.client import Client
from .._sdk.result import Score
from ..errors import ClientError

_WAITING = 8
"""How many outcomes a video in flight may be ahead of the one that is to be looked at next."""


@dataclass(frozen=True)
class Outcome:
    """What became of a video."""

    item: Item
    """The video."""
    result: Score | ClientError
    """Its score, or why it has none."""


class Run:
    """Goes through videos with so many in flight, and holds no more than a few times that many."""

    def __init__(
        self, score: Callable[[Item], Outcome], items: Iterable[Item], *, in_flight: int, ordered: bool = False
    ) -> None:
        """Begin when iterated over.

        score: scores one video; called in `in_flight` threads.
        items: taken as they are needed, in one of these threads at a time.
        ordered: hand out outcomes in the order of `items`, so that a slow one holds up those after it.
        """
        self._score = score
        self._items = enumerate(items)
        self._in_flight = in_flight
        self._ordered = ordered
        self._outcomes: queue.SimpleQueue[tuple[int, Outcome | BaseException] | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(in_flight * _WAITING)
        self._take = threading.Lock()
        self._stopped = False
        self._taken = self._received = self._ended = 0

    def stop(self) -> None:
        """Take no more videos; those in flight are still handed out. A signal handler may call it: it takes no lock."""
        self._stopped = True

    def __iter__(self) -> Iterator[Outcome]:
        for _ in range(self._in_flight):
            # Daemons: one may be waiting for a line of standard input when the rest is done.
            threading.Thread(target=self._work, daemon=True).start()
        early: dict[int, Outcome] = {}
        next_number = 0
        failure: BaseException | None = None
        try:
            while (received := self._receive()) is not None:
                number, outcome = received
                if isinstance(outcome, BaseException):
                    failure = failure or outcome
                    self.stop()
                    continue
                early[number if self._ordered else next_number] = outcome
                while next_number in early:
                    yield early.pop(next_number)
                    next_number += 1
                    self._places.release()
            for number in sorted(early):  # of a run that was stopped
                yield early[number]
        finally:
            self.stop()
            while self._receive() is not None:
                pass  # a call that is cancelled while it is answered may be the end of the server
            self._places.release(self._in_flight)  # for those who wait for one, to end
        if failure:
            raise failure

    def _receive(self) -> tuple[int, Outcome | BaseException] | None:
        """What a thread has to say next, None when all there is has been said."""
        while self._ended < self._in_flight and not (self._stopped and self._received == self._taken):
            try:
                got = self._outcomes.get(timeout=0.2)
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
                    outcome: Outcome | BaseException = self._score(video)
                except BaseException as error:
                    outcome = error
                self._outcomes.put((number, outcome))
        except BaseException as error:
            self._outcomes.put((-1, error))  # of no video: the items have ended in it
        self._outcomes.put(None)

    def _next(self) -> tuple[int, Item] | None:
        self._places.acquire()
        with self._take:
            item = None if self._stopped else next(self._items, None)
            if item is None or self._stopped:
                self._places.release()
                return None
            self._taken += 1
            return item


def scoring(client: Client, parameters: dict[str, float]) -> Callable[[Item], Outcome]:
    """Scores one video with these parameters and those of its part."""

    def score(item: Item) -> Outcome:
        try:
            return Outcome(item, client.score(item.path, **{**parameters, **item.part}))  # type: ignore[arg-type]
        except ClientError as error:
            return Outcome(item, error)

    return score
