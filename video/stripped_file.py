"""The container of a stripped video: one that FFmpeg and DALI index exactly.

DALI leaves packets with a pts below 0 out, counts packets as frames in the order of their pts, believes keyframe flags,
and seeks to a keyframe by its pts where FFmpeg looks for a dts. So all timestamps are new: frames are displayed at a
constant rate from 0 on, and at a keyframe, after which no earlier frame is displayed, pts and dts are equal. In an mp4,
composition offsets may be negative, so that no edit list is needed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, BinaryIO, NamedTuple, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

TICKS_PER_SECOND = 1000
FRAME_TICKS = 40
TIME_BASE = Fraction(1, TICKS_PER_SECOND)
IN_MP4 = ("h264", "hevc", "vp9", "av1", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg")
"""Codecs that are written as mp4, by FFmpeg's names; others are written as Matroska."""
OPTIONS = {"flush_packets": "0"}
MP4_OPTIONS = OPTIONS | {"use_editlist": "0", "movflags": "negative_cts_offsets"}
BUFFER_BYTES = 1 << 18
"""Written at once."""


class CountedFile:
    """What FFmpeg writes to; it counts the bytes of a file in memory of a fixed size."""

    def __init__(self, memory: BinaryIO) -> None:
        self._memory = memory
        self.bytes = 0
        """Size of the file so far."""

    def write(self, content: bytes) -> int:
        """Write at the current position; raises OSError if the memory is too small."""
        written = 0
        while written < len(content):
            written += self._memory.write(content[written:]) or 0
        self.bytes = max(self.bytes, self._memory.tell())
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, from the beginning of the file, from the current one, or from its end."""
        if whence == os.SEEK_END:
            return self._memory.seek(self.bytes + offset)
        return self._memory.seek(offset, whence)

    def tell(self) -> int:
        """The current position."""
        return self._memory.tell()


class Place(NamedTuple):
    """Where a packet is in the file."""

    decoded: int
    """Number of packets before it."""
    displayed: int
    """Number of frames that are displayed before its own."""
    is_keyframe: bool
    """Whether all frames before it are displayed before it, and decoding can begin with it."""


def frame_number(pts: int, time_base: Fraction) -> int:
    """The number of a frame of a stripped file, in order of display."""
    return round(pts * time_base * TICKS_PER_SECOND / FRAME_TICKS)


class StrippedFile:
    """A file that is being written."""

    def __init__(self, output: OutputContainer, stream: VideoStream) -> None:
        self._output = output
        self._stream = output.add_stream_from_template(stream, opaque=True)
        self._stream.time_base = TIME_BASE

    def add(self, packet: Packet, place: Place, delay: int) -> None:
        """Write a packet; `delay` is how many frames the decoder holds back at most, the same for all packets."""
        packet.time_base = TIME_BASE
        packet.pts, packet.dts = place.displayed * FRAME_TICKS, (place.decoded - delay) * FRAME_TICKS
        packet.duration = FRAME_TICKS
        packet.is_keyframe = place.is_keyframe
        packet.stream = self._stream
        self._output.mux_one(packet)


@contextmanager
def written_to(out: CountedFile, stream: VideoStream) -> Iterator[StrippedFile]:
    """A file in `out` with one video stream like `stream`; it is complete afterwards."""
    in_mp4 = stream.codec_context.codec.canonical_name in IN_MP4
    name, options = ("mp4", MP4_OPTIONS) if in_mp4 else ("matroska", OPTIONS)
    with av.open(cast(Any, out), "w", format=name, container_options=options, buffer_size=BUFFER_BYTES) as output:
        yield StrippedFile(output, stream)
