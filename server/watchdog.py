"""Killing a tritonserver that is stopped or hangs; the supervisor then starts it again.

A busy server must not be taken for one that hangs. So one that does not answer is killed at once only if it does
nothing else either: its threads neither compute, nor wait for a core, nor wait for a disk. The kernel counts the time
of waiting for a core only when the wait ends, which may take longer than a server may be silent if other programs have
a higher priority. So threads that wait are looked for, too.
"""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.liveness import Probe
from video.processes import GONE, find_process

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
LATE_SECONDS = 1.5
"""If so long passes between two looks, this process itself got no core, and what it saw before counts no more."""
STOPPED_SECONDS = 1.0
"""How long it may be stopped (SIGSTOP). A debugger may hold it for as long as it likes."""
SILENT_SECONDS = 3.0
"""How long it may leave every question unanswered while it does nothing."""
BUSY_SECONDS = 30.0
"""How long it may leave every question unanswered at all, for example with all cores taken by others."""
IDLE_SHARE = 0.05
"""Of a core: threads that poll for something use a little CPU time while the server hangs."""
PROBES = 2
"""Each has another thread of tritonserver, one of which may be loading a model."""
BUSY_STATES = ("R", "D")
"""Of a thread in /proc: it has a core or waits for one, or it waits for a disk."""
NANOSECONDS = 1e-9


@dataclass(frozen=True)
class Activity:
    """What the threads of a process have done until now."""

    seconds: float
    """Time of computing and of waiting for a core until one came, summed over its threads."""
    busy: bool
    """Whether one computes, or waits for a core or a disk, at this moment."""


class HangDetector:
    """Decides when a server hangs, from what is seen of it every `POLL_SECONDS`."""

    def __init__(self, now: float) -> None:
        self._seen = self._answered = now
        self._stopped: float | None = None
        self._idle: tuple[float, Activity] | None = None

    def verdict(self, now: float, *, state: str, answered: bool, activity: Activity | None) -> str | None:
        """Why it must be killed, None if it must not.

        `state` is that of its main thread as in /proc. `activity` is wanted if it is `silent`, None if unknown.
        """
        late, self._seen = now - self._seen > LATE_SECONDS, now
        if state != "T":
            self._stopped = None
        elif self._stopped is None:
            self._stopped = now
        elif now - self._stopped >= STOPPED_SECONDS:
            return f"it has been stopped for {STOPPED_SECONDS:g} s"
        if answered or late or state == "t":
            self._answered, self._idle = now, None
            return None
        silent = now - self._answered
        if silent >= BUSY_SECONDS:
            return f"it has not answered for {BUSY_SECONDS:g} s"
        if self._idle_seconds(now, activity) >= SILENT_SECONDS - 2 * POLL_SECONDS and silent >= SILENT_SECONDS:
            return f"it has not answered for {SILENT_SECONDS:g} s, and does nothing"
        return None

    @property
    def silent(self) -> bool:
        """Whether the last questions are open."""
        return self._seen > self._answered

    def _idle_seconds(self, now: float, activity: Activity | None) -> float:
        if activity is None:
            self._idle = None
            return 0.0
        if self._idle is None:
            self._idle = now, activity
        since, before = self._idle
        if activity.busy or activity.seconds - before.seconds > IDLE_SHARE * max(now - since, 1.0):
            self._idle = now, activity
        return now - self._idle[0]


class Watchdog:
    """Watches a tritonserver that is ready, in a thread of its own, until it is closed.

    The supervisor's own thread may wait for a model to be loaded.
    """

    def __init__(self, process: subprocess.Popen[str], http_url: str, is_ending: Callable[[], bool]) -> None:
        """`http_url`: the URL of its HTTP API, without a path; `is_ending`: whether it was asked to end."""
        self._process = process
        self._is_ending = is_ending
        self._probes = [Probe(http_url) for _ in range(PROBES)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()
        for probe in self._probes:
            probe.close()

    def _run(self) -> None:
        detector = HangDetector(time.monotonic())
        while not self._ended.wait(POLL_SECONDS):
            answered = sum(probe.answered() for probe in self._probes) > 0  # not any(): each one asks
            with contextlib.suppress(OSError):  # without a free descriptor, nothing can be seen
                seen = find_process(self._process.pid)
                if seen is None or not seen.alive or self._is_ending():
                    return
                why = detector.verdict(
                    time.monotonic(),
                    state=seen.state,
                    answered=answered,
                    activity=activity_of(seen.pid) if detector.silent else None,
                )
                if why is not None:
                    log.warning("tritonserver (process %d): %s, killing it", seen.pid, why)
                    self._process.kill()
                    return


def activity_of(pid: int) -> Activity | None:
    """What the threads of a process do; None if the kernel does not tell."""
    seconds, busy = 0.0, False
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*GONE):  # a thread that has just ended
                computed, waited, *_ = (thread / "schedstat").read_text().split()
                seconds += (int(computed) + int(waited)) * NANOSECONDS
                busy |= (thread / "stat").read_text().rpartition(")")[2].split()[0] in BUSY_STATES
    except (OSError, ValueError):
        return None
    return Activity(seconds, busy) if seconds else None
