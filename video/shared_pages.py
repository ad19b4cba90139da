"""Returning pages of memory to the system while it is still allocated or mapped."""

import ctypes
import mmap
import os
from typing import Any

from numpy.typing import NDArray

_MADVISE = ctypes.CDLL(None, use_errno=True).madvise


def give_back_pages(content: NDArray[Any], *, shared: bool = True) -> None:
    """Return the whole pages of contiguous `content` to the system; it then reads as zeros there.

    `content` must be a view of memory that is mapped for writing: if `shared`, of a file in /dev/shm or a memfd, which
    then is free for all that map it; otherwise private, such as an array. Raises OSError if it is not.
    """
    first = content.ctypes.data
    last = first + content.nbytes
    start, end = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE, last // mmap.PAGESIZE * mmap.PAGESIZE
    advice = mmap.MADV_REMOVE if shared else mmap.MADV_DONTNEED
    if start < end and _MADVISE(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
