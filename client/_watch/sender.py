"""The thread that asks the server: one clip at a time, and none waits in a queue."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .annotated import Verdict
from .networks import Answer, Networks
from .windows import Clip


@dataclass(frozen=True)
class Asked:
    """A clip that is to be, or was, sent."""

    clip: Clip
    """What is sent."""
    complete_at: float
    """When the last frame of its window had come, on the monotonic clock."""
    behind_seconds: float
    """How much video waited to be decoded then."""
    verdict: Verdict | None
    """What the annotated video waits for; None without one."""


class Sender:
    """Asks the networks about clips, and reports each answer or error in its own thread."""

    def __init__(self, networks: Networks, report: Callable[[Asked, Answer | Exception, float], None]) -> None:
        """`report` gets the clip, the answer or what was raised, and the seconds since the clip was complete.

        While `report` runs, the next clip is not accepted.
        """
        self._networks = networks
        self._report = report
        self._asked: Asked | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="watch-sender", daemon=True)
        self._thread.start()

    def offer(self, asked: Asked) -> bool:
        """Send a clip, unless one is in flight: then it returns False."""
        with self._changed:
            if self._asked or self._closed:
                return False
            self._asked = asked
            self._changed.notify_all()
            return True

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until no clip is in flight; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._asked is None, timeout_seconds)

    def close(self) -> None:
        """Wait for the clip in flight, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._networks.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                if self._asked is None:
                    return
                asked = self._asked
            try:
                outcome: Answer | Exception = self._networks.ask(asked.clip.pictures)
            except Exception as error:  # a bug: it must reach the caller
                outcome = error
            try:
                self._report(asked, outcome, time.monotonic() - asked.complete_at)
            finally:
                with self._changed:
                    self._asked = None
                    self._changed.notify_all()
