"""Ctrl-C, and SIGTERM as a scheduler sends it: the first one ends a run in order, the second one at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STANDARD_ERROR = 2


class Interruption:
    """Whether a run was told to end."""

    status = 0
    """The exit status that says so; 0 while nobody has."""


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[Interruption]:
    """Call `stop` on the first signal; what is in flight the server should be let answer."""
    interruption = Interruption()

    def interrupted(number: int, _: FrameType | None) -> None:
        if interruption.status:
            os._exit(128 + number)
        interruption.status = 128 + number
        stop()
        # Not through sys.stderr, which the signal may have come in the middle of.
        os.write(_STANDARD_ERROR, b"\nstopping when what is in flight is done; once more to leave at once\n")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
