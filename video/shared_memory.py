"""Whether /dev/shm, through which Triton passes tensors between processes, has room for a video's clips.

Each process of the python backend has a pool there that grows if a tensor does not fit, and never shrinks. The decoder
checks before it passes clips on: if backbone and classifier run out of room later, both fail at the same moment, which
sometimes crashes Triton 2.51.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from video.cgroup import memory_left
from video.errors import NoRoom
from video.processes import all_processes, model_of, stub_arguments

DIRECTORY = Path("/dev/shm")
PIECE_BYTES = 1 << 20
"""Pools grow in whole pieces of this size; everything else in a pool takes less than one."""

NO_ROOM = (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT, errno.EFBIG)
"""Errors of writing there: the file system, the cgroup, a quota or a limit of file sizes (`ulimit -f`) has no more."""


@dataclass(frozen=True)
class Pool:
    """The shared memory of a process of Triton's python backend."""

    model: str
    """The model of the process."""
    size_bytes: int
    """Its size, whether used or not."""


def check_room(needs: Mapping[str, int], pools: Iterable[Pool], free_bytes: int, *, beside_pools: int = 0) -> None:
    """Raise `NoRoom` if pools may have to grow by more than `free_bytes`, less what is taken beside them.

    `needs`: by model, the bytes of all tensors that its pool holds at once; any instance of the model may get them.
    """
    growth = dict.fromkeys(needs, 0)
    for pool in pools:
        need = needs.get(pool.model, 0) + PIECE_BYTES
        # A pool grows by the whole tensor, whatever free space it has.
        if pool.model in needs and pool.size_bytes < need:
            growth[pool.model] = need
    if sum(growth.values()) + beside_pools > free_bytes:
        raise no_room(free_bytes)


def no_room(free_bytes: int) -> NoRoom:
    """The error if only `free_bytes` are left."""
    left = f"{DIRECTORY}, {free_bytes >> 20} MiB left"
    return NoRoom(f"the server's shared memory ({left}) has no room for this video: retry later")


def cannot_write(error: OSError) -> NoRoom:
    """The error if a video's file there cannot be written because of `error`."""
    if error.errno in NO_ROOM:
        return no_room(free_bytes())
    return NoRoom(f"the video cannot be written to the server's shared memory ({error.strerror}): retry later")


def free_bytes() -> int:
    """Bytes that can still be written to /dev/shm: what is free there, and what the cgroup leaves."""
    status = os.statvfs(DIRECTORY)
    return int(min(status.f_bavail * status.f_frsize, memory_left()))


def pools_beside_this_process() -> Iterator[Pool]:
    """The pool of this process, and those of all other models of its server."""
    ours = _pool(os.getpid())
    for process in all_processes():
        pool = _pool(process.pid) if process.parent == os.getppid() else None
        if pool is not None and (process.pid == os.getpid() or ours is None or pool.model != ours.model):
            yield pool


def _pool(pid: int) -> Pool | None:
    """The pool of a process; None if it is not a stub or has ended."""
    model, arguments = model_of(pid), stub_arguments(pid)
    if model is None or len(arguments) < 2:
        return None
    try:
        return Pool(model, (DIRECTORY / arguments[1]).stat().st_size)
    except OSError:
        return None
