"""When to restart tritonserver, and when to give up."""

import signal
import time
from collections import deque

MAX_DEATHS = 3
DEATHS_SECONDS = 120
MAX_PORTS_LOST = 3
MAX_CRASHES = 3
CRASHES = frozenset({signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV})
"""Signals that a process gets for a defect of its own. Nobody asked it to end, and memory did not run out (SIGKILL)."""


class StartPolicy:
    """During the start: one restart if tritonserver is idle, two if it crashes, two if another process takes its port.

    About one start in several hundred hangs without an error; crashes are rarer. A port may be lost because
    tritonserver listens only after it has loaded its models.
    """

    def __init__(self, idle_timeout_seconds: float) -> None:
        self._idle_timeout_seconds = idle_timeout_seconds
        self._idle_restarts = self._ports_lost = self._crashes = 0

    def restart_idle(self, idle_seconds: float) -> bool:
        """Whether to restart it after so long without any work; counts the restart."""
        if self._idle_restarts or idle_seconds <= self._idle_timeout_seconds:
            return False
        self._idle_restarts += 1
        return True

    def restart_crashed(self, status: int) -> bool:
        """Whether to restart it after it ended with an exit status, as `subprocess` counts it; counts a crash."""
        if -status not in CRASHES:
            return False
        self._crashes += 1
        return self._crashes < MAX_CRASHES

    def restart_on_other_ports(self) -> bool:
        """Whether to restart it after it lost a port; counts the loss."""
        self._ports_lost += 1
        return self._ports_lost < MAX_PORTS_LOST


class DeathLimit:
    """While serving: restart tritonserver if it dies, but not after MAX_DEATHS deaths within DEATHS_SECONDS."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    @property
    def any(self) -> bool:
        """Whether it has died before."""
        return bool(self._deaths)

    def count(self) -> bool:
        """Count a death; whether the limit is now reached."""
        self._deaths.append(time.monotonic())
        return len(self._deaths) == MAX_DEATHS and self._deaths[-1] - self._deaths[0] < DEATHS_SECONDS
