"""Ctrl-C, and SIGTERM from a scheduler: the first signal ends a run in order, the second one at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STANDARD_ERROR = 2


class Interruption:
    """Whether a signal asked the run to end."""

    status = 0
    """The exit status for the signal, 128 plus its number; 0 without a signal."""


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[Interruption]:
    """Call `stop` on the first signal, so that the caller can finish the videos in flight; exit on the second."""
    interruption = Interruption()

    def interrupted(number: int, _: FrameType | None) -> None:
        if interruption.status:
            os._exit(128 + number)
        interruption.status = 128 + number
        stop()
        # Not sys.stderr: the signal may have interrupted a write to it.
        os.write(_STANDARD_ERROR, b"\nfinishing the videos in flight; press Ctrl-C again to quit now\n")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
