"""Opening an untrusted file as a video, and reading its table of frames.

Only the demuxers and decoders of supported formats are enabled: a playlist, for example, would make FFmpeg open the
files that it names.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video.demuxing import demux
from video.duration import agrees, choose_duration, frame_rate, frames_duration
from video.endings import truncation, ts_packet_bytes
from video.errors import InvalidVideo, Reason
from video.formats import (
    CODECS,
    CONTAINERS,
    DECODERS,
    DEMUXERS,
    MAGIC,
    STILL_BRANDS,
    STILL_IMAGES,
    other_container,
)
from video.limits import Limits
from video.orientation import UPRIGHT, FirstFrame, Orientation, orientation_of
from video.packet_notes import Notes
from video.packets import beginning_test, shown_test
from video.sampling import StreamInfo
from video.stream_choice import shown_stream
from video.structure import has_moov

DEFAULT_LIMITS = Limits()
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
WITHOUT_DURATION = ("mpegts", "mpeg")
"""Demuxers that state no duration: FFmpeg estimates one, which can miss most of a short file."""
MAX_HELD_BYTES = 1 << 26
"""Of packets that a table holds; a larger video is read a second time if it is stripped."""
BYTES_BESIDE_PACKET = 1000
"""More than a packet takes beside its content."""


@dataclass(frozen=True)
class FrameTable:
    """The frames of a video, read from its packets; only the first one is decoded, for its orientation."""

    info: StreamInfo
    """Duration, frames, frame rate and size as displayed."""
    orientation: Orientation
    """How decoded frames are turned and mirrored for display."""
    timestamps: NDArray[np.float64]
    """(frames,) presentation times in seconds, ascending."""
    pts: NDArray[np.int64] | None
    """(frames,) the same in the stream's time base, to identify decoded frames; None if the container stores none."""
    packet_pts: NDArray[np.int64] | None
    """(packets,) the pts of each packet, in decoding order; None if some have none."""
    packet_is_keyframe: NDArray[np.bool_]
    """(packets,) whether decoding can begin at each packet: the container says so, and the packet itself agrees."""
    header_duration_seconds: float | None = None
    """The header's duration if it differs from that of the frames by more than half a frame."""
    is_damaged: bool = False
    """Whether the file is truncated or cannot be read to its end; only if such a file was allowed."""
    frames_missing: int = 0
    """Frames that a damaged file says it has, or seems to have by its size or duration, and that cannot be read."""
    packet_notes: NDArray[np.int32] | None = None
    """(packets,) what `video.packet_notes` says of each packet; None unless it was asked for."""
    packets: list[Packet] | None = None
    """(packets,) the packets themselves; None unless notes were asked for, and if they take more than
    `MAX_HELD_BYTES`."""


@contextmanager
def open_video(
    video: BinaryIO, limits: Limits = DEFAULT_LIMITS, *, allow_damaged: bool = False
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of an encoded file and the video stream that is shown; raises `InvalidVideo` if it has none.

    A truncated file is refused unless `allow_damaged` is set.
    """
    video.seek(0)
    head = video.read(64)
    _refuse_by_magic(head)
    video.seek(0)
    if not allow_damaged and (found := truncation(video)):
        raise InvalidVideo(f"the file is truncated: {found.why}", Reason.TRUNCATED)
    video.seek(0)
    options = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "none"}
    try:
        container = av.open(video, "r", container_options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise _why_not_opened(video, head) from error
    with container:
        yield container, _video_stream(container, limits)


def read_frame_table(
    container: InputContainer,
    stream: VideoStream,
    limits: Limits = DEFAULT_LIMITS,
    *,
    oriented: bool = True,
    damaged: BinaryIO | None = None,
    noted: bool = False,
) -> FrameTable:
    """Read every packet of `stream`; raises `InvalidVideo`.

    Unless `oriented`, no frame is decoded: the orientation is then `UPRIGHT` and the size that of decoded frames. With
    `damaged`, the file itself, the table of a damaged file has the frames that can be read. If `noted`, the headers of
    all packets are read for `packet_notes`, and the packets are held.
    """
    is_damaged, corrupt = False, 0
    time_base = stream.time_base
    shown: list[tuple[int | None, int | None]] = []
    packet_pts: list[int | None] = []
    packet_is_keyframe: list[bool] = []
    first_key_pts: int | None = None
    last_shown, last_units = -math.inf, 0
    has_begun = False
    is_shown, begins = _packet_tests(stream)
    notes = Notes(stream.codec_context.codec.name, stream.codec_context.extradata) if noted else None
    packets: list[Packet] | None = [] if noted else None
    held_bytes = 0
    first = FirstFrame(stream) if oriented else None
    size = stream.codec_context.width, stream.codec_context.height  # decoding may change them
    try:
        for packet in demux(container, stream):
            if packet.size == 0:
                continue
            if packet.is_corrupt and damaged is None:
                raise _ends_early(len(shown), stream.frames, limits)
            corrupt += packet.is_corrupt
            if len(packet_pts) == limits.max_frames:
                too_many = f"the video has more than {limits.max_frames} frames, the maximum"
                raise InvalidVideo(too_many, Reason.TOO_LARGE)
            packet_pts.append(packet.pts)
            # Up to the first keyframe, flags may be missing. Looking into every packet would take long.
            is_beginning = (packet.is_keyframe or not has_begun) and begins(packet)
            packet_is_keyframe.append(is_beginning)
            if not has_begun and (packet.is_keyframe or is_beginning):
                has_begun, first_key_pts = True, packet.pts
            has_frame = is_shown(packet)
            if notes is not None:
                notes.take(memoryview(packet), is_shown=has_frame)
            if packets is not None:
                packets.append(packet)
                held_bytes += packet.size + BYTES_BESIDE_PACKET
                if held_bytes > MAX_HELD_BYTES:
                    packets = None
            if has_frame and not (packet.is_discard or packet.is_corrupt):
                shown.append((packet.pts, packet.dts))
                time = packet.dts if packet.pts is None else packet.pts
                if time is not None and time >= last_shown:
                    last_shown, last_units = time, packet.duration or 0
            if first is not None:
                first.look(packet)
    except av.FFmpegError as error:
        if damaged is None:
            raise _ends_early(len(shown), stream.frames, limits) from error
        is_damaged = True
    if first_key_pts is not None:
        # A stream cut out of a longer one may begin with frames that refer to removed ones: they are never shown.
        shown = [(pts, dts) for pts, dts in shown if pts is None or pts >= first_key_pts]
    if not shown or time_base is None:
        raise InvalidVideo("the video has no frames", Reason.NO_FRAMES)
    if container.format.name == "gif" and len(shown) == 1:
        raise InvalidVideo("the file is a still image (GIF), not a video", Reason.NOT_A_VIDEO)

    rate = float(stream.average_rate or 0)
    # An avi stores no timestamps; those that FFmpeg computes for it are in decoding order.
    pts = None if container.format.name == "avi" else _rising([pts for pts, _ in shown])
    times = _rising([dts for _, dts in shown]) if pts is None else pts
    timestamps = np.arange(len(shown)) / (rate or 25.0) if times is None else times * float(time_base)
    tick = float(time_base)
    frames_seconds = frames_duration(timestamps, last_units * tick, rate, tick)
    stated = _header_seconds(container, stream, float(timestamps[0]), frames_seconds, len(shown))
    duration = choose_duration(stated, frames_seconds, len(shown))
    rate = frame_rate(timestamps, rate, duration.seconds)
    orientation = UPRIGHT if first is None else _orientation(first)
    width, height = size[::-1] if orientation.exchanges_sides else size
    info = StreamInfo(duration.seconds, len(shown), rate, width, height)
    in_decoding_order = None if pts is None or None in packet_pts else np.array(packet_pts, np.int64)
    table = FrameTable(
        info,
        orientation,
        timestamps,
        pts,
        in_decoding_order,
        np.array(packet_is_keyframe, np.bool_),
        duration.header_seconds,
        is_damaged or corrupt > 0,
        corrupt,
        None if notes is None else notes.all,
        packets,
    )
    return table if damaged is None else _of_damaged(table, container, stream, damaged, frames_seconds)


def _of_damaged(
    table: FrameTable, container: InputContainer, stream: VideoStream, video: BinaryIO, seconds: float
) -> FrameTable:
    """The table with what a damaged file lacks; unchanged if nothing shows that the file is damaged.

    `seconds` is the duration of the frames that can be read.
    """
    found = truncation(video)
    if not found and not table.is_damaged:
        return table
    read, info = len(table.packet_is_keyframe), table.info
    missing = 0
    if stream.frames:
        missing = max(0, stream.frames - read)
    elif found and found.missing_bytes:
        missing = round(read * found.missing_bytes / video.seek(0, os.SEEK_END))
    elif found and container.duration and seconds:
        missing = max(0, round(read * (container.duration / av.time_base / seconds - 1)))
    missing = max(missing + table.frames_missing, 1)  # at least the frame in which the damage is
    return replace(table, info=replace(info, duration_seconds=seconds), is_damaged=True, frames_missing=missing)


def _header_seconds(
    container: InputContainer, stream: VideoStream, first_seconds: float, frames_seconds: float, frames: int
) -> float | None:
    """The duration in seconds that the header states of the video: the stream's, else the container's; None if neither.

    A container's may start at its own zero instead of at the first frame. It may also be that of audio: where other
    streams are, one that does not agree with the frames says nothing about the video.
    """
    if container.format.name in WITHOUT_DURATION or (container.format.name == "avi" and not stream.frames):
        return None  # FFmpeg guesses; an avi states no number of frames if it was written to a pipe
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        seconds = container.duration / av.time_base
        nearest = min(seconds, seconds - first_seconds, key=lambda candidate: abs(candidate - frames_seconds))
        if agrees(nearest, frames_seconds, frames):
            return nearest
        if len(container.streams) == 1:
            return seconds
    return None


def _packet_tests(stream: VideoStream) -> tuple[Callable[[Packet], bool], Callable[[Packet], bool]]:
    """Whether a packet has a frame that is shown, and whether decoding can begin at it.

    Where a codec's packets do not tell, all are shown, and decoding begins at the start of the file.
    """
    name, extradata = stream.codec_context.codec.name, stream.codec_context.extradata
    shown, begins = shown_test(name, extradata), beginning_test(name, extradata)
    return (
        lambda packet: shown is None or shown(memoryview(packet)),
        lambda packet: begins is not None and begins(memoryview(packet)),
    )


def _orientation(first: FirstFrame) -> Orientation:
    first.finish()
    return UPRIGHT if first.frame is None else orientation_of(first.frame)


def _rising(times: list[int | None]) -> NDArray[np.int64] | None:
    """(frames,) the times sorted; None if some are missing or equal."""
    if None in times or len(set(times)) < len(times):
        return None
    return np.sort(np.array(times, np.int64))


def _video_stream(container: InputContainer, limits: Limits) -> VideoStream:
    if not container.streams.video:
        raise InvalidVideo("the video has no video stream", Reason.NO_VIDEO_STREAM)
    pictures = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        raise InvalidVideo("the video has no video stream, only cover art", Reason.NO_VIDEO_STREAM)
    stream = shown_stream(streams)
    context = stream.codec_context
    if context is None or context.codec.name not in DECODERS:
        name = "unknown" if context is None else context.codec.name
        raise InvalidVideo(f"the video's codec is {name}; supported codecs are {CODECS}", Reason.UNSUPPORTED_CODEC)
    check_size(context.width, context.height, limits)
    return stream


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise `InvalidVideo` if a frame has too many pixels."""
    if width * height > limits.max_pixels:
        size = f"{width} x {height} pixels"
        allowed = f"the maximum is {limits.max_pixels} pixels"
        raise InvalidVideo(f"the video has {size}; {allowed}", Reason.TOO_LARGE)


def _refuse_by_magic(head: bytes) -> None:
    """Raise `InvalidVideo` if the first bytes of a file show that it is not a video."""
    if not head:
        raise InvalidVideo("the file is empty", Reason.EMPTY)
    for magic, kind in STILL_IMAGES.items():
        if head.startswith(magic):
            raise InvalidVideo(f"the file is a still image ({kind}), not a video", Reason.NOT_A_VIDEO)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        raise InvalidVideo("the file is an image (WEBP), not a video", Reason.NOT_A_VIDEO)
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        kind = STILL_BRANDS[head[8:12]]
        raise InvalidVideo(f"the file is a still image ({kind}), not a video", Reason.NOT_A_VIDEO)


def _why_not_opened(video: BinaryIO, head: bytes) -> InvalidVideo:
    size = video.seek(0, os.SEEK_END)
    if head[4:8] in MP4_BOXES and not has_moov(video):
        why = f"the file has no moov box, the index of an mp4: it is truncated ({size} bytes received)"
        return InvalidVideo(why, Reason.TRUNCATED)
    if head.startswith(MAGIC) or head[4:8] == b"ftyp" or ts_packet_bytes(video):
        why = f"the file begins like a video but cannot be read: it is damaged or truncated ({size} bytes received)"
        return InvalidVideo(why, Reason.DAMAGED)
    if head[4:8] not in MP4_BOXES and (kind := other_container(head)):
        why = f"the file is {kind}, not a video in a supported container ({CONTAINERS})"
        return InvalidVideo(why, Reason.NOT_A_VIDEO)
    why = f"the file ({size} bytes) is not a video in a supported container ({CONTAINERS})"
    return InvalidVideo(why, Reason.NOT_A_VIDEO)


def _ends_early(frames: int, announced: int, limits: Limits) -> InvalidVideo:
    of = f" of {announced}" if frames < announced <= limits.max_frames else ""
    why = f"reading stopped at frame {frames}{of}: the file is truncated or damaged"
    return InvalidVideo(why, Reason.DAMAGED)
