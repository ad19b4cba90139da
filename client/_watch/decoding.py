"""Frames out of packets, each with its time; and where a stream begins anew."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .packet_queue import Read

JUMP_SECONDS = 60.0
"""A frame that comes so much later than the one before it begins a new stream; so does one that comes earlier."""
_REORDER_SECONDS = 1.0


@dataclass(frozen=True)
class TimedFrame:
    """A frame, in the order in which frames are shown."""

    seconds: float
    """Its time, on the source's clock."""
    frame: VideoFrame
    """The frame, as it was decoded."""
    shown_seconds: float
    """How long it is shown by its packet, 0 if the packet does not say."""
    jumped_from_seconds: float | None
    """The time of the frame before it if this one begins a new stream; else None."""


class Decoder:
    """The decoder of one stream."""

    def __init__(self, stream: VideoStream) -> None:
        self._context: VideoCodecContext = stream.codec_context
        # Frames that the decoder held back to the end come without one.
        self._time_base = stream.time_base
        self._usual_gap = float(1 / (stream.average_rate or 25))
        self._last_seconds: float | None = None
        self.tick_seconds = float(stream.time_base or 0)
        """Timestamps are multiples of this."""
        self.damaged = 0
        """Packets that arrived damaged or could not be decoded, and frames that are damaged or out of order."""

    def decode(self, read: Read) -> Iterator[TimedFrame]:
        """The frames that a packet completes; what cannot be decoded is counted."""
        if read.follows_gap:
            self._context.flush_buffers()
        self.damaged += read.packet.is_corrupt
        try:
            frames = self._context.decode(read.packet)
        except av.FFmpegError:
            # A stream may begin between keyframes: its first packets cannot be decoded.
            self.damaged += self._last_seconds is not None
            return
        for frame in frames:
            if timed := self._timed(frame):
                yield timed

    def finish(self) -> Iterator[TimedFrame]:
        """The frames that the decoder holds back; no packet follows."""
        try:
            frames = self._context.decode(None)
        except av.FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            if timed := self._timed(frame):
                yield timed

    def _timed(self, frame: VideoFrame) -> TimedFrame | None:
        last = self._last_seconds
        if frame.pts is not None and self._time_base is not None:
            seconds = float(frame.pts * self._time_base)
        else:
            seconds = 0.0 if last is None else last + self._usual_gap
        if frame.is_corrupt or (last is not None and last - _REORDER_SECONDS < seconds <= last):
            self.damaged += 1
            return None
        jumped = last is not None and not last < seconds <= last + JUMP_SECONDS
        self._last_seconds = seconds
        return TimedFrame(seconds, frame, (frame.duration or 0) * self.tick_seconds, last if jumped else None)
