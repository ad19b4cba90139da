"""Whether there is room for a video's clips in /dev/shm, through which Triton hands tensors from process to process.

Each of its processes has a pool there, which grows when a tensor does not fit and is kept. Looked at before clips are
handed on: where backbone and classifier find no room for them later, both fail in the same moment, of which Triton 2.51
was seen to die.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from video.errors import NoRoom
from video.processes import all_processes, model_of, stub_arguments

DIRECTORY = Path("/dev/shm")
PIECE_BYTES = 1 << 20
"""By whole ones of which pools grow; what else is in one is less."""


@dataclass(frozen=True)
class Pool:
    """What a process of Triton's python backend has in shared memory."""

    model: str
    """The model that it serves."""
    size_bytes: int
    """Used or not."""


def check_room(needs: Mapping[str, int], pools: Iterable[Pool], free_bytes: int) -> None:
    """`NoRoom` where pools may have to grow by more than is free.

    `needs` has, by model, the bytes of all tensors that its pool holds at once; which instance it will be is not known.
    """
    growth = dict.fromkeys(needs, 0)
    for pool in pools:
        need = needs.get(pool.model, 0) + PIECE_BYTES
        # By all of a tensor, whatever there is left in it.
        if pool.model in needs and pool.size_bytes < need:
            growth[pool.model] = need
    if sum(growth.values()) > free_bytes:
        raise no_room(free_bytes)


def no_room(free_bytes: int) -> NoRoom:
    """What a caller is told when so much is left."""
    left = f"{DIRECTORY}, {free_bytes >> 20} MiB left"
    return NoRoom(f"the server's shared memory ({left}) has no room for this video: ask again later")


def free_bytes() -> int:
    """What is left of it."""
    status = os.statvfs(DIRECTORY)
    return status.f_bavail * status.f_frsize


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
