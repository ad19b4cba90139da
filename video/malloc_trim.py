"""Returning freed memory to the system, which glibc keeps for reuse by default."""

import ctypes

_TRIM = ctypes.CDLL(None).malloc_trim  # looked up here: a sandbox has no files

LARGE_BYTES = 1 << 20
"""Allocations of this size or more are worth returning at once."""
OWN_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES)}
"""Environment variables that make another program's malloc return large allocations when they are freed."""


def give_back() -> None:
    """Return all free pages to the system; takes milliseconds, and as much again when they are allocated next."""
    _TRIM(0)
