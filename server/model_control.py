"""Models that somebody with the server's key loads or unloads over HTTP: the supervisor leaves them alone meanwhile."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.loaded_files import LoadedFiles

_TARGET = re.compile(rb"/v2/repository/models/([^/%?#]+)/(load|unload)(?:\?[^#]*)?")


@dataclass(frozen=True)
class Change:
    """A model that was loaded or unloaded, or was not."""

    model: str
    """Its name."""
    is_loaded: bool
    """Whether it was asked to be loaded."""
    before: frozenset[int]
    """Its processes before."""


class ModelControl:
    """The changes that are made, and those that the supervisor has not seen yet; safe to use from several threads."""

    def __init__(self, processes_of: Callable[[str], frozenset[int]], files: LoadedFiles) -> None:
        """`processes_of` returns the processes that serve a model now; `files` learns what it was loaded from."""
        self._processes_of = processes_of
        self._files = files
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._made: list[Change] = []

    @contextmanager
    def change(self, method: bytes, target: bytes) -> Iterator[Callable[[], None]]:
        """Around a request to tritonserver, which may load or unload a model; call the result if that succeeded."""
        found = _TARGET.fullmatch(target) if method == b"POST" else None
        if found is None:
            yield lambda: None
            return
        model, is_loaded = found[1].decode(errors="replace"), found[2] == b"load"
        # First what can fail, or the supervisor would leave the model alone for ever.
        before, stamp = self._processes_of(model), self._files.stamp(model)
        with self._lock:
            self._busy[model] += 1

        def succeeded() -> None:
            if is_loaded:
                self._files.loaded(model, stamp)
            else:
                self._files.unloaded(model)

        try:
            yield succeeded
        finally:
            with self._lock:
                self._busy[model] -= 1
                self._made.append(Change(model, is_loaded, before))

    def busy(self) -> frozenset[str]:
        """The models that are being changed."""
        with self._lock:
            return frozenset(+self._busy)

    def made(self) -> list[Change]:
        """The changes made since the last call."""
        with self._lock:
            made, self._made = self._made, []
            return made
