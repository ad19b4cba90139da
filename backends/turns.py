"""Turns at the cores: one network computes at a time, on all of them.

Every network of a server has a process of its own and wants all cores; two that compute at once spend their time
waiting for each other's threads. A turn is one run of a network, so that none waits long.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """A lock that the processes of one server share, and that the kernel takes from a process that dies."""

    def __init__(self) -> None:
        directory = Path(tempfile.gettempdir(), f"video-motion-{os.getuid()}")
        directory.mkdir(mode=0o700, exist_ok=True)
        for leftover in directory.glob("*.turn"):
            if not Path("/proc", leftover.stem).exists():
                leftover.unlink(missing_ok=True)
        # The parent of every stub is the server.
        self._descriptor = os.open(directory / f"{os.getppid()}.turn", os.O_RDWR | os.O_CREAT, 0o600)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn and keep it for the length of a `with` block."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
