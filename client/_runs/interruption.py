"""Ctrl-C, and SIGTERM from a scheduler: the first signal ends a run in order, the second one at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RESUME = "run the same command again to resume"
"""What to do after a run that ended early."""
_STANDARD_ERROR = 2


class Interruption:
    """Whether a signal asked the run to end."""

    status = 0
    """The exit status for the signal, 128 plus its number; 0 without a signal."""


@contextmanager
def interruptible(stop: Callable[[], None], doing: str = "finishing the videos in flight") -> Iterator[Interruption]:
    """Call `stop` on the first signal, so that the caller can end in order, and say that it is `doing` so.

    The second signal exits at once.
    """
    interruption = Interruption()

    def interrupted(number: int, _: FrameType | None) -> None:
        if interruption.status:
            os._exit(128 + number)
        interruption.status = 128 + number
        stop()
        # Not sys.stderr: the signal may have interrupted a write to it.
        os.write(_STANDARD_ERROR, f"\n{doing}; press Ctrl-C again to quit now\n".encode())

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
