"""Trying again what a store refused or broke off, with growing pauses; calls to a throttling store pause together."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import ClientError, UnreadableFile
from .addresses import WEB, parts_of
from .troubles import Kind, kind_of, sentence_of, status_of

Result = TypeVar("Result")

SECONDS = 120.0
"""How long one call is tried again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 20.0
STORE_AWAY = "store_away"
"""The reason if nothing could be had from a store for so long: the next file would fail too."""
_SAID_AFTER = 5.0
_log = logging.getLogger("video_motion")


class Patience:
    """How to deal with one store; safe to use from several threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pause_ends = 0.0
        self._succeeded = 0.0
        self._is_said = False

    def __call__(self, call: Callable[[], Result]) -> Result:
        """What `call` returns; an exception that may pass is tried again. Raises `UnreadableFile`."""
        waiting = Waiting(self)
        while True:
            try:
                result = call()
            except (ClientError, MemoryError):
                raise
            except Exception as error:
                waiting.after(error)
            else:
                self.succeeded()
                return result

    def succeeded(self) -> None:
        """Note that the store answered."""
        with self._lock:
            self._succeeded = time.monotonic()
            self._is_said = False

    def answered_since(self, moment: float) -> bool:
        """Whether any call to the store succeeded since then."""
        with self._lock:
            return self._succeeded > moment

    def pause(self, seconds: float, why: str, *, together: bool, long: bool) -> None:
        """Wait; with `together`, every other call waits as long. With `long`, say so once."""
        now = time.monotonic()
        with self._lock:
            if together:
                self._pause_ends = max(self._pause_ends, now + seconds)
            until = max(now + seconds, self._pause_ends)
            say, self._is_said = long and not self._is_said, self._is_said or long
        if say:
            _log.warning("%s: %s; trying again for %g s", self._name, why, SECONDS)
        time.sleep(max(0.0, until - now))

    def wait(self) -> None:
        """Wait until the pause of a throttling store ends."""
        with self._lock:
            seconds = self._pause_ends - time.monotonic()
        if seconds > 0:
            time.sleep(seconds)


class Waiting:
    """The attempts at one call."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pause = FIRST_PAUSE
        self._first: float | None = None
        self._throttled = 0
        patience.wait()

    def after(self, error: Exception) -> None:
        """Pause before the next attempt, or raise `UnreadableFile`."""
        kind = kind_of(error)
        why = sentence_of(error, kind)
        if not kind.may_pass:
            raise UnreadableFile(why, reason=kind.value) from error
        now = time.monotonic()
        if self._first is None:
            self._first = now
        waited = now - self._first
        if waited >= SECONDS:
            # An answer such as 500 is of a store that is there: the file alone fails.
            is_there = self._patience.answered_since(self._first) or (kind is Kind.BROKEN and status_of(error) > 0)
            reason = kind.value if is_there else STORE_AWAY
            raise UnreadableFile(f"{why}, for {waited:.0f} s", reason=reason) from error
        self._throttled += kind is Kind.THROTTLED
        together = kind is Kind.THROTTLED and self._throttled > 1  # one refusal alone is no reason to stop everything
        long = waited >= min(_SAID_AFTER, SECONDS / 2)
        self._patience.pause(self._pause * random.uniform(0.5, 1), why, together=together, long=long)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


_all: dict[str, Patience] = {}
_all_lock = threading.Lock()


def patience_with(url: str) -> Patience:
    """The patience with the store (bucket, web server) of a URL; the same object for all its files."""
    scheme, bucket, _ = parts_of(url)
    host = bucket.rpartition("@")[2] if scheme in WEB else bucket  # without a password
    name = f"{scheme}://{host}"
    with _all_lock:
        return _all.setdefault(name, Patience(name))
