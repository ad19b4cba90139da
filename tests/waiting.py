"""Waiting for a state instead of for a time."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object], seconds: float = 30, *, every: float = 0.01) -> None:
    """Return when `condition` holds, which is asked every so many seconds; fails if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the state did not come"
        time.sleep(every)
