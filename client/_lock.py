"""A lock on a file that is open, for one run at a time."""

from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: two runs are not told apart there
    fcntl = None  # type: ignore[assignment]


def lock(file: IO[Any]) -> bool:
    """Lock a file until it is closed; False if another process has it locked. On Windows it is not locked."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
