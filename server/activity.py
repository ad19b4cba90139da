"""Whether the processes of a server do anything."""

import os
import time

from video.processes import Process, descendants

BUSY_SECONDS = 0.2
LOOK_SECONDS = 1.0


class ActivityMonitor:
    """Measures how long a child process of this one, with its descendants, has been idle."""

    IDLE_SHARE = 0.02
    """Of a core: a process that polls for something uses a little CPU time while it waits."""

    def __init__(self, root: int) -> None:
        """`root`: the pid of the child."""
        self._root = root
        self._since = self._looked = time.monotonic()
        self._used = self._cpu_seconds()

    def idle_seconds(self) -> float:
        """Seconds since any of the processes last computed or waited for a disk."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return now - self._since
        self._looked, used = now, self._cpu_seconds()
        busy = used < self._used or used - self._used > BUSY_SECONDS + self.IDLE_SHARE * (now - self._since)
        if busy or any(process.state == "D" for process in self._processes()):
            self._since, self._used = now, used
        return now - self._since

    def _cpu_seconds(self) -> float:
        return sum(process.cpu_seconds for process in self._processes())

    def _processes(self) -> list[Process]:
        # The child itself counts too: native backends load their networks in it.
        itself = [process for process in descendants(os.getpid()) if process.pid == self._root]
        return itself + descendants(self._root)
