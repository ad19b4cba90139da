"""A lock on the CPU's cores: one network computes at a time, on all cores.

Every network of a server runs in a process of its own and wants all cores. Two that compute at once spend their time
waiting for each other's threads. The lock is held for one run of a network, so that none waits long.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from video.processes import find_process
from video.runtime_directory import opened, runtime_directory


def shared_path(name: str, server: int | None = None) -> Path:
    """The path of a lock or socket `name` that the processes of one server share.

    `server` is the pid of tritonserver; by default the parent of this process, which must then be a stub.
    Raises ProcessLookupError if that process has ended.
    """
    directory = runtime_directory()
    remove_leftovers(directory)
    pid = os.getppid() if server is None else server
    process = find_process(pid)
    if process is None:
        raise ProcessLookupError(f"the server, process {pid}, has ended")
    return directory / f"{pid}-{process.start_ticks}.{name}"


def remove_leftovers(directory: Path) -> None:
    """Remove the locks and sockets of servers that have ended, but not keys, which are in the same directory.

    Raises PermissionError, and removes nothing, if `directory` is not private to this user.
    """
    with opened(directory) as descriptor:
        for name in os.listdir(descriptor):
            server, _, started = name.partition(".")[0].partition("-")
            if server.isdigit() and started.isdigit() and not Path("/proc", server).exists():
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)


class ComputeLock:
    """A lock that the processes of one server share; the kernel releases it if its holder dies.

    A process that releases the lock does not get it again before another that waits. Two file locks ensure this: a
    process first locks the head of the queue, then the turn. A process that comes back finds the head locked.
    """

    def __init__(self) -> None:
        self._place, self._turn = (
            os.open(shared_path(name), os.O_RDWR | os.O_CREAT, 0o600) for name in ("place", "turn")
        )

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the lock and hold it for the length of a `with` block."""
        fcntl.flock(self._place, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._place, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
