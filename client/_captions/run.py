"""Captions for the rows of a table, several at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .._counted import counted
from .api import Answer, NoCaption
from .errors import Stopped, Unanswered
from .journal import CaptionJournal
from .output import COLUMN
from .rows import key_of, name_of

Row = dict[str, Any]
Ask = Callable[[Row], Answer]


@dataclass(frozen=True)
class Limits:
    """When to stop, and how much at once."""

    in_flight: int
    """Videos that wait for an answer at once."""
    max_tokens: int | None
    """Tokens of the whole table, of all runs, from which on no video is begun; None: no limit."""


class CaptionRun:
    """One run. Rows that the journal has are left out."""

    def __init__(self, journal: CaptionJournal, ask: Ask, limits: Limits, say: Callable[[str], None]) -> None:
        """ask: gives the caption of a row, from several threads; raises `Unanswered` or `Stopped`."""
        self._journal = journal
        self._ask = ask
        self._limits = limits
        self._say = say
        self._tokens = journal.counts()[2]
        self._ending = False
        self.stopped = ""
        """Why the run ended before the last row."""
        self.reached_limit = False
        """Whether that was the limit of tokens."""

    def stop(self) -> None:
        """Begin no more videos; takes no lock, so that signal handlers may call it."""
        self._ending = True

    def run(self, rows: Iterable[Row], *, retry_failed: bool, done: Callable[[bool], None]) -> None:
        """Ask until the rows end or the run stops. `done` is told of each video whether it failed."""
        remaining = self._wanted(rows, retry_failed)
        waiting: dict[Future[Answer], Row] = {}
        with ThreadPoolExecutor(self._limits.in_flight) as pool:
            while True:
                for row in islice(remaining, self._limits.in_flight - len(waiting)):
                    waiting[pool.submit(self._ask, row)] = row
                if not waiting:
                    return
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._take(waiting.pop(future), future, done)

    def _wanted(self, rows: Iterable[Row], retry_failed: bool) -> Iterator[Row]:
        begun: set[str] = set()
        source = iter(rows)
        while not self._ending:
            if self._limits.max_tokens is not None and self._tokens >= self._limits.max_tokens:
                self._end(f"{counted(self._tokens, 'token')} used, --max-cost-tokens is {self._limits.max_tokens:,}")
                self.reached_limit = True
                return
            row = next(source, None)
            if row is None:
                return
            key = key_of(row)
            # The same part may be in a table twice.
            if key not in begun and not self._journal.has(key, failures=not retry_failed):
                begun.add(key)
                yield row

    def _take(self, row: Row, future: Future[Answer], done: Callable[[bool], None]) -> None:
        try:
            answer = future.result()
        except Stopped as error:
            self._end(str(error))
            return
        except Unanswered as error:
            tokens = error.tokens if isinstance(error, NoCaption) else 0
            self._journal.add(key_of(row), row | {"error": str(error), "tokens": tokens}, tokens)
            self._say(f"{name_of(row)}: {error}")
        else:
            content = {"error": None, COLUMN: answer.text, "tokens": answer.tokens, "attempts": answer.attempts}
            self._journal.add(key_of(row), row | content, answer.tokens)
            tokens = answer.tokens
        self._tokens += tokens
        done(future.exception() is not None)

    def _end(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._ending = True
