"""Each call's share of the decoders' CPU time: whole for a caller that is alone, less the more others there are.

It is divided evenly among addresses, of an address among its callers, and of a caller among its calls in flight.

`video.cpu_share` describes the file, and `video.limits` what a share means.
"""

import mmap
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.runtime_files import remove
from video.cpu_share import ABANDONED, LEAST, SHARE, WHOLE


@dataclass(frozen=True)
class _Call:
    caller: str
    address: str
    is_wasteful: Callable[[], bool]


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
        self._callers: Counter[tuple[str, str]] = Counter()
        """Calls of each address and caller, in the queue or in flight."""
        self._in_flight: dict[int, _Call] = {}
        """By number."""
        self._abandoned: set[int] = set()
        """Numbers of calls in flight whose callers have gone."""
        for number in self._free:
            SHARE.pack_into(self._file, number * SHARE.size, WHOLE)

    @contextmanager
    def presence(self, caller: str, address: str = "") -> Iterator[None]:
        """Count a call of `caller` from `address`, in the queue or in flight, for the length of the block."""
        self._callers[address, caller] += 1
        self._update()
        try:
            yield
        finally:
            self._callers[address, caller] -= 1
            if not self._callers[address, caller]:
                del self._callers[address, caller]
            self._update()

    @contextmanager
    def call(self, caller: str, address: str = "", is_wasteful: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """The number of a call in flight, for the length of the block.

        While `is_wasteful` returns true and another address has calls, it gets the least share.
        """
        number = self._free.pop()
        self._in_flight[number] = _Call(caller, address, is_wasteful)
        self._update()
        try:
            yield number
        finally:
            del self._in_flight[number]
            self._abandoned.discard(number)
            self._free.append(number)
            self._update()

    def abandon(self, number: int) -> None:
        """Tell the models that nobody waits for the answer of this call in flight."""
        self._abandoned.add(number)
        self._update()

    def close(self) -> None:
        """Remove the file."""
        remove(self.path)

    def _update(self) -> None:
        calls_of = Counter(call.caller for number, call in self._in_flight.items() if number not in self._abandoned)
        callers_of = Counter(address for address, _ in self._callers)
        for number, call in self._in_flight.items():
            if number in self._abandoned:
                share = ABANDONED
            elif len(self._callers) == 1:
                share = WHOLE
            elif len(callers_of) > 1 and call.is_wasteful():
                share = LEAST
            else:
                share = WHOLE / (len(callers_of) * callers_of[call.address] * calls_of[call.caller])
            SHARE.pack_into(self._file, number * SHARE.size, share)
