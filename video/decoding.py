"""The wanted frames of a video as clips: one pass over the file, only those frames converted and resized."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video.container import FrameTable, open_video, read_frame_table
from video.errors import InvalidVideo
from video.resize import crop, stretch

Order = NDArray[np.integer]

MAX_THREADS = 16
"""Of the decoder: more gain little and take memory each."""


def decode(
    video: BinaryIO,
    frame_indices: Order,
    motion_order: Order,
    camera_order: Order,
    shortest_edge: int,
    out: NDArray[np.uint8],
) -> None:
    """Decode the frames `frame_indices` of `video` into `out`, in the order that each kind of clip wants them.

    `out` is (len(motion_order) + len(camera_order), 224, 224, 3) uint8 RGB, the motion frames first. Raises
    `InvalidVideo` where a wanted frame cannot be had.
    """
    motion, camera = out[: len(motion_order)], out[len(motion_order) :]
    with open_video(video) as (container, stream):
        table = read_frame_table(container, stream)

    def place(position: int, frame: VideoFrame) -> None:
        picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        for_motion, for_camera = motion_order == position, camera_order == position
        if for_motion.any():
            motion[for_motion] = stretch(picture)
        if for_camera.any():
            camera[for_camera] = crop(picture, shortest_edge)

    wanted = deque((int(index), position) for position, index in enumerate(frame_indices))
    damage = Damage()
    on_screen: VideoFrame | None = None

    def place_missing(until: int) -> None:
        """Frames that the decoder does not show, though nothing is wrong with them, repeat the one on the screen."""
        while wanted and wanted[0][0] < until:
            if damage.packets or on_screen is None:
                frame = f"frame {wanted[0][0]} of {table.info.frames}"
                raise InvalidVideo(f"{frame} cannot be decoded: the file is damaged")
            place(wanted.popleft()[1], on_screen)

    # Opened anew rather than rewound: not every container can seek to its start.
    with open_video(video) as (container, stream):
        for index, frame in _shown_frames(container, stream, table, damage):
            place_missing(until=index)
            if wanted and wanted[0][0] == index:
                place(wanted.popleft()[1], frame)
            if not wanted:
                return
            on_screen = frame
    place_missing(until=table.info.frames)


@dataclass
class Damage:
    """What a decoder could not make sense of."""

    packets: int = 0
    """Packets that it refused."""


def _shown_frames(
    container: InputContainer, stream: VideoStream, table: FrameTable, damage: Damage
) -> Iterator[tuple[int, VideoFrame]]:
    """Each frame that the decoder gives, with its index; what it refuses is counted in `damage`.

    The index comes from the frame's timestamp, so that a packet which cannot be decoded costs its own frame only and
    moves no other; in a container without timestamps frames are counted.
    """
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(len(os.sched_getaffinity(0)), MAX_THREADS)
    count = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damage.packets += 1
            continue
        for frame in frames:
            index = count
            if table.pts is not None and frame.pts is not None:
                index = int(np.searchsorted(table.pts, frame.pts))
                if index == len(table.pts) or table.pts[index] != frame.pts:
                    continue
            count += 1
            yield index, frame
