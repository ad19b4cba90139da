"""File descriptors: as many as the system allows, and some kept for looking after the server.

Callers decide how many connections a process has. If they use up its descriptors, whatever opens a file fails with
EMFILE: the look at /proc, and the request that loads a model again.
"""

import contextlib
import os
import resource
from collections.abc import Iterator

MAX_DESCRIPTORS = 1 << 20
"""Some systems allow a billion, and some programs go through all of them."""
RESERVED = 16
"""Enough for a look at /proc and an HTTP request."""


def raise_limit() -> None:
    """Raise this process's soft limit of descriptors to the hard one, or `MAX_DESCRIPTORS`; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share(most: int, part: int) -> int:
    """`most`, or fewer if that is more than a `part`-th of the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(min(most, soft // part), 1)


class ReservedDescriptors:
    """Descriptors held open so that they can be used when the process has no others."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._hold()

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Free them for the length of a `with` block."""
        while self._held:
            os.close(self._held.pop())
        try:
            yield
        finally:
            self._hold()

    def _hold(self) -> None:
        with contextlib.suppress(OSError):  # all that can be had now; the next block tries again
            while len(self._held) < RESERVED:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
