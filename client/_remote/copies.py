"""Copies of files of stores on this machine's disk, for programs that read files alone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .addresses import canonical, is_remote
from .reading import local_copy


@dataclass
class _Copy:
    made: "Future[tuple[Path, Callable[[], None]]]" = field(default_factory=Future)
    """The copy, and what removes it."""
    users: int = 0


class Copies:
    """Makes one copy of a file for all threads that use it at a time; the last one stays until another file is used.

    For lists in which the parts of a video are near each other. `close` removes what is left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: dict[str, _Copy] = {}

    @contextmanager
    def path_of(self, name: str) -> Iterator[str]:
        """The path of a file: of a copy of it while the block runs, if the name is a URL. Raises `UnreadableFile`."""
        if not is_remote(name):
            yield name
            return
        url = canonical(name)
        with self._lock:
            copy = self._copies.setdefault(url, _Copy())
            is_mine = copy.users == 0 and not copy.made.done()
            copy.users += 1
        try:
            if is_mine:
                try:
                    copy.made.set_result(local_copy(url))
                except BaseException as error:
                    copy.made.set_exception(error)
            yield str(copy.made.result()[0])
        finally:
            with self._lock:
                copy.users -= 1
                if copy.made.done() and copy.made.exception() and self._copies.get(url) is copy:
                    del self._copies[url]  # the next one tries again
                unused = [other for other, one in self._copies.items() if not one.users and other != url]
                left = [self._copies.pop(other) for other in unused]
            _remove(left)

    def close(self) -> None:
        """Remove the copies that nobody uses."""
        with self._lock:
            left = [self._copies.pop(url) for url, one in [*self._copies.items()] if not one.users]
        _remove(left)


def _remove(copies: list[_Copy]) -> None:
    for copy in copies:
        copy.made.result()[1]()
