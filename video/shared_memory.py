"""Whether there is room for a video's clips in /dev/shm, through which Triton hands tensors from process to process.

Looked at before the clips are handed on: where Triton finds no room for them later, backbone and classifier fail in the
same moment, of which 2.51 was seen to die.
"""

import os
from pathlib import Path

from video.clips import CLIP_FRAMES, FRAME_BYTES
from video.errors import NoRoom
from video.parameters import MAX_SEGMENTS

DIRECTORY = Path("/dev/shm")
PROCESSES = 3
"""Of the decoder and of each network, in the configurations of the cpu profile."""
MOST_BYTES = PROCESSES * 4 * MAX_SEGMENTS * CLIP_FRAMES * FRAME_BYTES
"""What they take for clips of the largest videos, out of the decoder and into a network; what was taken is kept."""
UUID_LENGTH = 36


def check_room(clip_bytes: int, region: str, directory: Path = DIRECTORY) -> None:
    """`NoRoom` where clips of `clip_bytes` may find none on their way to the networks.

    `region` is the name of any of the server's pools, all of which begin alike and end in a UUID.
    """
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    if free >= 2 * clip_bytes:
        return
    pools = [path.stat().st_size for path in directory.glob(f"{region[:-UUID_LENGTH]}*")]
    if sum(pools) < MOST_BYTES:
        raise NoRoom(
            f"the server's shared memory ({directory}, {free >> 20} MiB left) has no room for this video: "
            "ask again later"
        )


def region_of_this_process() -> str:
    """The name of the pool of this process of Triton's python backend, from its command line."""
    return Path("/proc/self/cmdline").read_bytes().split(b"\0")[2].decode()
