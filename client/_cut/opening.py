"""Opening a video, and reading it from the last keyframe before a time."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from .._demuxing import demux
from .errors import PartError

TOLERANCE_SECONDS = 0.0005
"""A frame is in the part from so much before its start on, and to so much before its end: times are often rounded."""
INTERLEAVED_SECONDS = 10.0
"""Sound is expected in the file no later than the frames that are so much later."""
_STEPS_BACK = (0.0, 1.0, 5.0, 30.0)
"""Seconds; where seeking overshoots or lands between keyframes, try from further back."""
_DEFAULT_PIXELS, _PACKETS_PIXELS = 5_000_000, 100_000_000


@dataclass(frozen=True)
class Source:
    """An open video."""

    container: InputContainer
    """The file."""
    video: VideoStream
    """Its video."""
    audio: AudioStream | None
    """Its sound, if there is any and it is wanted."""

    @property
    def streams(self) -> tuple[VideoStream | AudioStream, ...]:
        """What is read."""
        return (self.video,) if self.audio is None else (self.video, self.audio)

    def first_seconds(self) -> float:
        """The timestamp of the first frame, as far as the container states it."""
        start, unit = self.video.start_time, self.video.time_base
        return float(start * unit) if start is not None and unit else 0.0


@contextmanager
def opened(path: str, *, sound: bool) -> Iterator[Source]:
    """Open a video. Raises `PartError` and PyAV's exceptions."""
    # Playlists must not reach the network.
    with av.open(path, container_options={"protocol_whitelist": "file"}) as opened_container:
        container = cast(InputContainer, opened_container)
        streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        if not streams:
            raise PartError("the video has no video stream")
        video = max(streams, key=_rank)
        if video.codec_context is None or video.time_base is None:
            raise PartError("its video has a codec that is not supported")
        audio = max(container.streams.audio, key=_is_default, default=None) if sound else None
        if audio is not None and audio.codec_context is None:
            raise PartError("its sound has a codec that is not supported: cut it with --no-sound")
        yield Source(container, video, audio)


def first_frame_seconds(path: str) -> float:
    """The timestamp of the first frame that can be decoded. Raises `PartError` and PyAV's exceptions.

    Some containers state another start.
    """
    with opened(path, sound=False) as source:
        base = source.video.time_base
        for frame in source.container.decode(source.video):
            ticks = frame.pts if frame.pts is not None else frame.dts
            if ticks is not None and base is not None:
                return float(ticks * base)
    raise PartError("no frame could be decoded")


def packets_from(source: Source, start_seconds: float | None) -> Iterator[Packet]:
    """Packets of the streams in file order: from a keyframe at or before the start on, else from the beginning.

    The keyframe need not be the last one before the start.
    """
    video = source.video
    assert video.time_base is not None
    if start_seconds is None or start_seconds <= source.first_seconds():
        return demux(source.container, source.streams)
    for step in _STEPS_BACK:
        try:
            source.container.seek(int((start_seconds - step) / video.time_base), stream=video)
        except av.FFmpegError:
            break
        packets = demux(source.container, source.streams)
        waiting: list[Packet] = []
        for packet in packets:
            waiting.append(packet)
            if packet.stream_index == video.index:
                break
        last = waiting[-1]  # without a timestamp at the end of the file
        at = float(last.pts * video.time_base) if last.is_keyframe and last.pts is not None else None
        if at is not None and at <= start_seconds + TOLERANCE_SECONDS:
            return itertools.chain(waiting, packets)
        if start_seconds - step <= source.first_seconds():
            break
    source.container.seek(source.container.start_time or 0)
    return demux(source.container, source.streams)


def _rank(stream: VideoStream) -> int:
    """The server's rule (video/stream_choice.py)."""
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    is_default = bool(stream.disposition & Disposition.default)
    return pixels + _DEFAULT_PIXELS * is_default + _PACKETS_PIXELS * (len(stream.index_entries) > 0)


def _is_default(stream: AudioStream) -> bool:
    return bool(stream.disposition & Disposition.default)
