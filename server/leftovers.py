"""Shared memory of Triton's python backend, which stays if a server is killed."""

import os
import time
from pathlib import Path

from video.shared_memory import DIRECTORY

PREFIX = "video_motion_"


def new_prefix() -> str:
    """What the names of a new server's shared memory begin with; it names this process, the server's parent."""
    return f"{PREFIX}{os.getpid()}_{time.monotonic_ns()}_"


def remove_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a server that has ended."""
    for path in DIRECTORY.glob(f"{prefix}*"):
        path.unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Remove the shared memory of servers whose parent was killed before it could do so."""
    for path in DIRECTORY.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("_")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)
