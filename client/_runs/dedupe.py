"""Scores the same content once: a video with the bytes of one that was scored gets that one's row."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from .._inputs.item import Item
from .._remote.addresses import is_remote
from .._remote.reading import read_remote
from .._sdk.request import MAX_BYTES
from .._sdk.result import Score
from .._tables.journal import Journal
from .._tables.row import Row
from ..errors import ClientError
from .part_times import item_parameters
from .run import Scoring, VideoResult

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Duplicate:
    """A video that was not sent, because another one has its bytes."""

    item: Item
    """The video."""
    row: Row
    """The row of the other one."""
    score: Score | None
    """The score of the other one, if it is in flight or was scored just now."""


class Dedupe:
    """Scores videos of which no other has the bytes, the parameters and the weights; safe for several threads.

    Two that are in flight at once count, too: the second one waits. Only scores count for others: a video that fails is
    tried under each of its names.
    """

    def __init__(
        self,
        score: Scoring,
        row_of: Callable[[VideoResult], Row],
        journal: Journal,
        parameters: Mapping[str, float],
        weights: Mapping[str, object],
    ) -> None:
        """score: sends a video; row_of: the row of a result; weights: what the answers depend on besides."""
        self._score = score
        self._row_of = row_of
        self._journal = journal
        self._parameters = parameters
        self._weights = weights
        self._lock = threading.Lock()
        self._first: dict[str, Future[tuple[Row, Score] | None]] = {}
        """Videos that are in flight or not in the journal yet, by what identifies their content."""
        self._contents: dict[bytes, str] = {}
        """The same by the keys of their items."""

    def score(self, item: Item) -> VideoResult | Duplicate:
        """The result of a video. One in a store is read once: for its hash, and to be sent."""
        data = None
        if item.content is None and item.problem is None and is_remote(item.path):
            try:
                data = read_remote(item.path, MAX_BYTES)
            except ClientError as error:
                return VideoResult(item, error)
        content = self._content_of(item, data)
        if content is None:
            return self._score(item, data)
        while True:
            with self._lock:
                first = self._first.get(content)
                # In this order: a video is in the journal before it leaves `_first`.
                row = None if first else self._journal.row_of_content(content)
                if first is None and row is None:
                    mine = self._first[content] = Future()
                    self._contents[item.key] = content
                    break
            known = (row, None) if row is not None else first.result() if first is not None else None
            if known is not None:
                if item.content is not None:
                    item.content.take()
                return Duplicate(item, *known)
        try:
            video = self._score(item, data)
            scored = (self._row_of(video), video.result) if isinstance(video.result, Score) else None
        except BaseException:
            self.forget(item)
            mine.set_result(None)
            raise
        if scored is None:
            self.forget(item)
        mine.set_result(scored)
        return video

    def content(self, item: Item) -> str | None:
        """What identifies the content of a video that was scored, for the journal."""
        with self._lock:
            return self._contents.get(item.key)

    def forget(self, item: Item) -> None:
        """The video is in the journal, or has no score."""
        with self._lock:
            if content := self._contents.pop(item.key, None):
                self._first.pop(content, None)

    def _content_of(self, item: Item, data: bytes | None) -> str | None:
        """The hash of the bytes, the parameters and the weights; None if the bytes cannot be read."""
        if item.problem is not None:
            return None
        known = data if item.content is None else item.content.data
        digest = _digest_of_file(item.path) if known is None else hashlib.sha256(known).hexdigest()
        if digest is None:
            return None
        asked = [digest, item_parameters(self._parameters, item), self._weights]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path: str) -> str | None:
    """SHA-256 of a file; None if it cannot be read, which scoring it will say."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return None  # a pipe would wait for its writer
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
        return digest.hexdigest()
    except (OSError, ValueError):
        return None
