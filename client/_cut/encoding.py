"""Cut exactly: decode from the keyframe before, encode the frames of the part again."""

import struct
from collections.abc import Callable
from typing import cast

import av
from av.buffer import Buffer
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from .errors import PartError
from .facts import Facts
from .opening import INTERLEAVED_SECONDS, TOLERANCE_SECONDS, Source, packets_from
from .settings import CODECS, Settings, Size, even
from .sound import Sound

PIXEL_FORMAT = "yuv420p"
"""What every player and loader takes."""
_QUARTER_DEGREES = 90


class _Clip:
    """The file that is being written; it is made with the first frame."""

    def __init__(self, output: OutputContainer, source: Source, settings: Settings, threads: int) -> None:
        self.frames = 0
        self.first_seconds = self.end_seconds = self._last_seconds = 0.0
        self._output, self._source, self._settings, self._threads = output, source, settings, threads
        self._reformatter = VideoReformatter()
        self._stream: VideoStream | None = None
        self._zero = 0
        self._last = -1

    def add(self, frame: VideoFrame, ticks: int) -> None:
        """Encode a frame whose timestamp is `ticks` in the video's time base."""
        base = self._source.video.time_base
        assert base is not None
        if self._stream is None:
            self._zero = ticks
            self.first_seconds = float(ticks * base)
            self._stream = self._add_stream(frame)
        stream = self._stream
        width, height = stream.width, stream.height
        if (frame.width, frame.height, frame.format.name) == (width, height, PIXEL_FORMAT):
            small = frame
        else:
            small = self._reformatter.reformat(
                frame, width, height, PIXEL_FORMAT, src_color_range=frame.color_range, dst_color_range=frame.color_range
            )
        # Two frames with the same timestamp would be an error of the encoder.
        self._last = max(ticks - self._zero, self._last + 1)
        small.pts, small.time_base = self._last, base
        small.pict_type = 0  # the encoder chooses, not the video
        self._output.mux(stream.encode(small))
        self.frames += 1
        duration = frame.duration or 0
        rate = self._source.video.average_rate
        seconds = float(duration * base) if duration else (float(1 / rate) if rate else 0.0)
        self.end_seconds = float(ticks * base) + seconds

    def finish(self) -> None:
        if self._stream is not None:
            self._output.mux(self._stream.encode(None))

    def _add_stream(self, frame: VideoFrame) -> VideoStream:
        codec = CODECS[self._settings.codec]
        source = self._source.video
        options = codec.options | {"crf": str(self._settings.crf)}
        stream = cast(VideoStream, self._output.add_stream(codec.encoder, source.average_rate or 25, options=options))
        context = stream.codec_context
        stream.width, stream.height = self._size(frame)
        context.pix_fmt = PIXEL_FORMAT
        assert source.time_base is not None
        context.time_base = source.time_base
        context.thread_count = self._threads
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        context.color_range = frame.color_range
        if not frame.format.is_rgb:
            context.colorspace, context.color_primaries, context.color_trc = (
                frame.colorspace,
                frame.color_primaries,
                frame.color_trc,
            )
        if matrix := _display_matrix(frame):
            stream.set_display_matrix(matrix)
        if self._settings.codec == "hevc":
            stream.codec_tag = "hvc1"  # or Apple's players refuse it
        return stream

    def _size(self, frame: VideoFrame) -> tuple[int, int]:
        if self._settings.size is None:
            return even(frame.width), even(frame.height)
        turned = round(frame.rotation / _QUARTER_DEGREES) % 2 == 1
        size = Size.parse(self._settings.size)
        if turned:
            height, width = size.of(frame.height, frame.width)
            return width, height
        return size.of(frame.width, frame.height)


def encode_part(
    source: Source,
    target: str,
    start_seconds: float | None,
    end_seconds: float | None,
    settings: Settings,
    threads: int,
    alive: Callable[[], None],
) -> Facts:
    """Write the frames with start <= timestamp < end into a new file. Raises `PartError` and PyAV's exceptions.

    Gaps between frames, colors, pixel shape and rotation stay; pixels become `PIXEL_FORMAT`, with even sides. `threads`
    are the encoder's.
    """
    base = source.video.time_base
    assert base is not None
    source.video.thread_type = "AUTO"
    source.video.codec_context.thread_count = threads
    is_webm = target.endswith(".webm")
    sound = None
    if source.audio is not None:
        sound = Sound(source.audio, is_webm=is_webm, start_seconds=start_seconds, end_seconds=end_seconds)
    is_mp4 = target.endswith((".mp4", ".mov"))
    flags = {"movflags": "+faststart"} if is_mp4 else {}
    seen_seconds: float | None = None
    video_done = False
    with av.open(target, "w", container_options=flags) as output:
        clip = _Clip(output, source, settings, threads)
        for packet in packets_from(source, start_seconds):
            alive()
            if source.audio is not None and packet.stream_index == source.audio.index:
                assert sound is not None
                for sound_frame in packet.decode():
                    sound.add(cast(av.AudioFrame, sound_frame))
            elif not video_done:
                for frame in cast("list[VideoFrame]", packet.decode()):
                    ticks = frame.pts if frame.pts is not None else frame.dts
                    if ticks is None:
                        raise PartError("a frame has no timestamp")
                    seen_seconds = float(ticks * base)
                    if start_seconds is not None and seen_seconds < start_seconds - TOLERANCE_SECONDS:
                        continue
                    if end_seconds is not None and seen_seconds >= end_seconds - TOLERANCE_SECONDS:
                        video_done = True
                        break
                    if not clip.frames and sound is not None:
                        sound.begin(output, seen_seconds)
                    clip.add(frame, ticks)
                    if clip.frames == 1 and sound is not None:
                        sound.flush_held()
            sound_done = sound is None or sound.is_done or _is_late(source, packet, end_seconds)
            if video_done and (sound_done or not clip.frames):
                break
        if not clip.frames:
            raise PartError(_nothing(start_seconds, end_seconds, seen_seconds))
        if sound is not None:
            sound.add(None)
            sound.finish(clip.end_seconds)
        clip.finish()
    return Facts(clip.frames, clip.first_seconds, round(clip.end_seconds - clip.first_seconds, 6), sound is not None)


def _is_late(source: Source, packet: Packet, end_seconds: float | None) -> bool:
    """Whether sound that is still missing cannot come any more."""
    base = source.container.streams[packet.stream_index].time_base
    if packet.dts is None or base is None or end_seconds is None:
        return False
    return float(packet.dts * base) > end_seconds + INTERLEAVED_SECONDS


def _nothing(start_seconds: float | None, end_seconds: float | None, seen_seconds: float | None) -> str:
    if seen_seconds is None:
        return "no frame could be decoded"
    end = "the end" if end_seconds is None else f"{end_seconds:g} s"
    return f"it has no frame from {start_seconds or 0:g} s to {end}: the last one before is at {seen_seconds:g} s"


def _display_matrix(frame: VideoFrame) -> list[int] | None:
    """The nine numbers that say how players turn the picture."""
    content = frame.side_data.get("DISPLAYMATRIX")
    return None if content is None else list(struct.unpack("=9i", bytes(cast(Buffer, content))))
