"""One object for each thread that asks for one."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ForEachThread(Generic[T]):
    """Makes an object when a thread first asks for its own, and keeps all of them."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self._of_thread = threading.local()
        self._all: list[T] = []
        self._lock = threading.Lock()

    def own(self) -> T:
        """The object of the calling thread."""
        own: T | None = getattr(self._of_thread, "own", None)
        if own is None:
            own = self._of_thread.own = self._new()
            with self._lock:
                self._all.append(own)
        return own

    def all(self) -> list[T]:
        """Those of all threads until now. Takes no lock, so signal handlers may call it."""
        return [*self._all]
