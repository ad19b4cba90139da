"""ComputeLock at the cores: one network computes at a time, on all of them.

Every network of a server has a process of its own and wants all cores; two that compute at once spend their time
waiting for each other's threads. A turn is one run of a network, so that none waits long.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def directory() -> Path:
    """Where the processes of this user's servers meet, under names that begin with `server_name`.

    What servers that are gone left under such names is removed; keys are there as well.
    """
    found = Path(tempfile.gettempdir(), f"video-motion-{os.getuid()}")
    found.mkdir(mode=0o700, exist_ok=True)
    if found.stat().st_uid != os.getuid():
        raise PermissionError(f"{found} is another user's")
    for leftover in found.glob("[0-9]*-[0-9]*.*"):
        if not Path("/proc", leftover.name.partition("-")[0]).exists():
            leftover.unlink(missing_ok=True)
    return found


def server_name(server: int | None = None) -> str:
    """The server that this process belongs to, or another: the parent of every stub, by its number and its start."""
    server = os.getppid() if server is None else server
    started = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{server}-{started}"


class ComputeLock:
    """A lock that the processes of one server share, and that the kernel takes from a process that dies.

    Who has had a turn does not get the next one before another process that waits. The first lock is for the place at
    the head of the line, the second one for the turn: whoever comes back finds the place taken.
    """

    def __init__(self) -> None:
        place, turn = (directory() / f"{server_name()}.{name}" for name in ("place", "turn"))
        self._place, self._turn = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in (place, turn))

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn and keep it for the length of a `with` block."""
        fcntl.flock(self._place, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._place, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
