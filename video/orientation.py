"""How a decoded frame is turned and mirrored for display, as its file says and as ffmpeg shows it.

FFmpeg reads the display matrix of every container and bitstream, and attaches it to decoded frames. Other readers of it
are not needed.
"""

import contextlib
import math
import struct
from typing import NamedTuple, cast

import av
import numpy as np
from av.buffer import Buffer
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

TOLERANCE_DEGREES = 1.0
"""ffmpeg turns by a multiple of 90 degrees if a matrix is so close to it."""
MAX_PACKETS_IN_A_ROW = 32
"""Decoders hold back 16 frames at most; the others are for damaged ones."""


class Orientation(NamedTuple):
    """What makes a decoded frame the displayed one: mirror it, then rotate it."""

    rotation_degrees: int = 0
    """Clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Whether left and right of the decoded frame are exchanged before it is rotated."""

    @property
    def exchanges_sides(self) -> bool:
        """Whether the displayed frame is as wide as the decoded one is high."""
        return self.rotation_degrees % 180 != 0


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation in the display matrix of a decoded frame; `UPRIGHT` if it has none."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return UPRIGHT if matrix is None else orientation_of_matrix(struct.unpack("=9i", bytes(cast(Buffer, matrix))))


def orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """The orientation of a display matrix (a b u c d v x y w): x' = a x + c y and y' = b x + d y, with y downwards.

    `UPRIGHT` for rotations by other angles, and if the matrix is singular.
    """
    a, b, _, c, d = matrix[:5]
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down or a * d == b * c:
        return UPRIGHT
    # Where the decoded frame's right and bottom are displayed. A mirrored frame's right was its left.
    mirrored = a * d < b * c
    angle = math.degrees(math.atan2(b / down, a / across)) + (180 if mirrored else 0)
    quarters = round(angle / 90)
    if abs(angle - 90 * quarters) >= TOLERANCE_DEGREES:
        return UPRIGHT
    return Orientation(quarters * 90 % 360, mirrored)


def displayed(frame: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """(height, width, 3) decoded to (height, width, 3) displayed: a view."""
    if orientation.mirrored:
        frame = frame[:, ::-1]
    return np.rot90(frame, -(orientation.rotation_degrees // 90))


class FirstFrame:
    """Decodes packets until the first frame, for its orientation. Use a stream of which nothing else is decoded."""

    def __init__(self, stream: VideoStream) -> None:
        self.frame: VideoFrame | None = None
        """The first frame; None until it is found."""
        self._context = stream.codec_context
        self._context.thread_count = 1
        self._context.flags |= Flags.output_corrupt  # its pixels do not matter
        self._packets = 0

    def look(self, packet: Packet) -> None:
        """Decode the next packet, if no frame has been found yet."""
        if self.frame is not None:
            return
        self._packets += 1
        # The first packet alone, because a decoder may hold back frames. If it gives none, a row of packets may. After
        # that only keyframes are decoded: the beginning of the file is damaged.
        if self._packets == 1 or (self._packets > MAX_PACKETS_IN_A_ROW and packet.is_keyframe):
            self._decode(packet)
            self.finish()
            self._context.flush_buffers()
        if self.frame is None and self._packets <= MAX_PACKETS_IN_A_ROW:
            self._decode(packet)

    def finish(self) -> None:
        """Take a frame that the decoder holds back; no packet follows."""
        self._decode(None)

    def _decode(self, packet: Packet | None) -> None:
        if self.frame is None:
            with contextlib.suppress(av.FFmpegError):
                self.frame = next(iter(self._context.decode(packet)), None)
