"""What a process has freed goes back to the machine, where glibc would keep it for the next time."""

import ctypes

_TRIM = ctypes.CDLL(None).malloc_trim  # looked up here: a sandbox has no files

LARGE_BYTES = 1 << 20
"""What is of this size or more is worth giving back at once."""
OWN_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES)}
"""The environment of a process of others that gives large things back when it frees them."""


def give_back() -> None:
    """Return every page that is free to the machine: milliseconds, and as much again when they are wanted."""
    _TRIM(0)
