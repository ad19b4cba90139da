"""Each call's share of the decoders' CPU time: whole for a caller that is alone, less the more others there are.

`video.cpu_share` describes the file, and `video.limits` what a share means.
"""

import mmap
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from video.cpu_share import ABANDONED, LEAST, SHARE, WHOLE


class CpuShares:
    """Writes the shares of the calls in flight whenever one of them or a caller comes or goes.

    For one event loop.
    """

    def __init__(self, path: Path, calls: int) -> None:
        """Write to a new file at `path`, mode 0600, for up to `calls` calls in flight; OSError if that fails."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, calls * SHARE.size)
            self._file = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self.path = path
        self._free = list(range(calls))
        self._callers: Counter[str] = Counter()
        """Calls of each caller, in the queue or in flight."""
        self._in_flight: dict[int, str] = {}
        """By number, whose call it is."""
        self._is_wasteful: dict[int, Callable[[], bool]] = {}
        """By number, whether its caller's address is wasteful now."""
        self._abandoned: set[int] = set()
        """Numbers of calls in flight whose callers have gone."""
        for number in self._free:
            SHARE.pack_into(self._file, number * SHARE.size, WHOLE)

    @contextmanager
    def presence(self, caller: str) -> Iterator[None]:
        """Count a call of `caller`, in the queue or in flight, for the length of the block."""
        self._callers[caller] += 1
        self._update()
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]
            self._update()

    @contextmanager
    def call(self, caller: str, is_wasteful: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """The number of a call in flight, for the length of the block.

        While `is_wasteful` returns true, it gets the least that a call gets beside other callers.
        """
        number = self._free.pop()
        self._in_flight[number] = caller
        self._is_wasteful[number] = is_wasteful
        self._update()
        try:
            yield number
        finally:
            del self._in_flight[number], self._is_wasteful[number]
            self._abandoned.discard(number)
            self._free.append(number)
            self._update()

    def abandon(self, number: int) -> None:
        """Tell the models that nobody waits for the answer of this call in flight."""
        self._abandoned.add(number)
        self._update()

    def close(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _update(self) -> None:
        calls_of = Counter(caller for number, caller in self._in_flight.items() if number not in self._abandoned)
        for number, caller in self._in_flight.items():
            if number in self._abandoned:
                SHARE.pack_into(self._file, number * SHARE.size, ABANDONED)
                continue
            alone = not self._callers.keys() - {caller}
            share = WHOLE if alone else WHOLE / (len(self._callers) * calls_of[caller])
            if not alone and self._is_wasteful[number]():
                share = LEAST
            SHARE.pack_into(self._file, number * SHARE.size, share)
