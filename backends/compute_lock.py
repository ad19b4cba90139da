"""A lock on the CPU's cores: one network computes at a time on all cores, or a few at a time on a part of them each.

Every network of a server runs in a process of its own and wants all cores. Two that compute at once spend their time
waiting for each other's threads. The lock is held for one run of a network, so that none waits long.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from video.processes import find_process, pid_namespace
from video.runtime_directory import opened, runtime_directory

NAMED = re.compile(r"(?P<server>\d+)-\d+-(?P<namespace>\d+)\.")
"""Names of locks and sockets: tritonserver's pid, when it started, and its namespace of pids."""
LOOK_SECONDS = 0.001
"""How often the head of the queue looks for a free turn if there are several."""


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
    return directory / f"{pid}-{process.start_ticks}-{pid_namespace()}.{name}"


def remove_leftovers(directory: Path) -> None:
    """Remove the locks and sockets of servers that have ended, but not keys, which are in the same directory.

    Those of another container, which may share the directory and counts pids in another way, stay. Raises
    PermissionError, and removes nothing, if `directory` is not private to this user.
    """
    namespace = str(pid_namespace())
    with opened(directory) as descriptor:
        for name in os.listdir(descriptor):
            match = NAMED.match(name)
            if match and match["namespace"] == namespace and not Path("/proc", match["server"]).exists():
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)


class ComputeLock:
    """A lock that the processes of one server share; the kernel releases it if its holder dies.

    Whoever releases the lock does not get it again before another that waits. Two file locks ensure this: one first
    locks the head of the queue, then a turn. One that comes back finds the head locked.
    """

    def __init__(self, turns: int = 1) -> None:
        """`turns`: how many may hold it at once, the same number in all processes."""
        self._place, *self._turns = (
            os.open(shared_path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name in ("place", *(f"turn{number}" for number in range(turns)))
        )

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the lock and hold it for the length of a `with` block; safe to use from several threads."""
        with ExitStack() as stack:
            with _again(self._place) as place:
                fcntl.flock(place, fcntl.LOCK_EX)
                turns = [stack.enter_context(_again(turn)) for turn in self._turns]
                while not any(map(_locked, turns)):
                    if len(turns) == 1:
                        fcntl.flock(turns[0], fcntl.LOCK_EX)
                        break
                    time.sleep(LOOK_SECONDS)
            yield


@contextmanager
def _again(opened: int) -> Iterator[int]:
    """Another descriptor of a file, with locks of its own: threads with the same one would share its locks."""
    descriptor = os.open(f"/proc/self/fd/{opened}", os.O_RDWR | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
