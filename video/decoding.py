"""The wanted frames of a video as clips: only they are converted and resized, and few others are decoded."""

import contextlib
import errno
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video.cgroup import usable_cores
from video.container import DEFAULT_LIMITS, FrameTable, check_size, open_video, read_frame_table
from video.demuxing import demux
from video.errors import InvalidParameter, InvalidVideo, Reason
from video.frame_form import FrameForm
from video.frame_garbage import FrameGarbage
from video.limits import Limits
from video.measures.measuring import MeasuredFrames
from video.measures.vectors import export_vectors, exports_vectors
from video.orientation import displayed, orientation_of
from video.resize import crop, stretch
from video.skipping import UNREFERENCED_ARE_MARKED, PacketUse, packet_uses
from video.stripped_file import frame_number
from video.work import check_work, decoded_too_much, max_pixels

Order = NDArray[np.integer]
Uses = NDArray[np.int8]

MAX_THREADS = 16
"""Of the decoder; more gain little, and each takes memory."""


class Frames(NamedTuple):
    """The frames for the image encoder."""

    order: Order
    """(frames,) positions among the wanted frames."""
    form: FrameForm
    """How each is prepared."""
    out: NDArray[np.uint8]
    """(frames, height, width, 3) RGB, to be filled."""


def decode(
    video: BinaryIO,
    frame_indices: Order,
    motion_order: Order,
    camera_order: Order,
    shortest_edge: int,
    out: NDArray[np.uint8],
    *,
    limits: Limits = DEFAULT_LIMITS,
    total: "Decoded | None" = None,
    allow_damaged: bool = False,
    stripped: tuple[BinaryIO, Order] | None = None,
    frames: "Frames | None" = None,
    measured: MeasuredFrames | None = None,
) -> int:
    """Decode the frames `frame_indices` (ascending) of `video` into `out`.

    `motion_order` and `camera_order` are positions in `frame_indices`, one per frame of the clips. `out` is
    (len(motion_order) + len(camera_order), 224, 224, 3) uint8 RGB, the motion frames first. Frames are turned and
    mirrored as they are displayed. Returns the number of frames decoded; `total` counts them even if decoding fails.
    With `allow_damaged`, the frames may be those that are left of a damaged file. With `stripped`, a file of
    `video.stripping` and the wanted frames in it, they are decoded from there if all of them are found. `frames` are
    those for the image encoder, `measured` those that are measured. Raises `InvalidVideo` if a wanted frame cannot be
    decoded, `InvalidParameter` for bad indices.
    """
    motion, camera = out[: len(motion_order)], out[len(motion_order) :]
    # One for all frames: each reformatter sets up the conversion and starts threads.
    reformatter = VideoReformatter()
    garbage = FrameGarbage()

    def place(position: int, frame: VideoFrame) -> None:
        check_size(frame.width, frame.height, limits)  # a frame may be larger than the container says
        picture = displayed(_rgb(frame, reformatter), orientation_of(frame))
        for_motion, for_camera = motion_order == position, camera_order == position
        if for_motion.any():
            motion[for_motion] = stretch(picture)
        if for_camera.any():
            camera[for_camera] = crop(picture, shortest_edge)
        if frames is not None and (for_frames := frames.order == position).any():
            frames.out[for_frames] = frames.form.prepare(picture)
        if measured is not None and position in measured:
            measured.take(position, picture, frame)
        garbage.add(frame)

    file_bytes = video.seek(0, os.SEEK_END)
    from_stripped, quick, thorough = (Decoded(max_pixels=max_pixels(file_bytes, limits)) for _ in range(3))
    if stripped is not None:
        try:
            if _place_stripped(*stripped, limits, from_stripped, place, with_vectors=measured is not None):
                return from_stripped.frames
        finally:
            if total is not None:
                total.frames += from_stripped.frames
    with open_video(video, limits, allow_damaged=allow_damaged) as (container, stream):
        table = read_frame_table(container, stream, limits, oriented=False, damaged=video if allow_damaged else None)
    wanted = [int(index) for index in frame_indices]
    if not wanted or wanted[0] < 0 or wanted[-1] >= table.info.frames or (np.diff(wanted) <= 0).any():
        raise InvalidParameter(f"frame indices must be ascending, from 0 to {table.info.frames - 1}")
    check_work(frames_to_decode(table, frame_indices), table.info.width, table.info.height, file_bytes, limits)
    try:
        if table.pts is not None and table.packet_pts is not None:
            uses = packet_uses(table.packet_pts, table.packet_is_keyframe, table.pts[wanted])
            with open_video(video, limits, allow_damaged=allow_damaged) as (container, stream):
                if measured is not None:
                    export_vectors(stream)
                if _place_frames(_frames_of(container, stream, table, quick, uses), wanted, place):
                    return from_stripped.frames + quick.frames
        # A wanted frame is missing or not identifiable: decode every packet, which also finds out what is wrong.
        with open_video(video, limits, allow_damaged=allow_damaged) as (container, stream):
            if measured is not None:
                export_vectors(stream)
            _place_or_repeat_frames(container, stream, table, thorough, wanted, place)
    finally:
        if total is not None:
            total.frames += quick.frames + thorough.frames
    return from_stripped.frames + quick.frames + thorough.frames


def frames_to_decode(table: FrameTable, wanted: Order) -> int:
    """How many frames must be decoded for those at `wanted`, ascending indices; the frames that they refer to count."""
    if table.pts is None or table.packet_pts is None:
        return int(wanted[-1]) + 1  # without timestamps, from the start
    uses = packet_uses(table.packet_pts, table.packet_is_keyframe, table.pts[wanted])
    return int(np.count_nonzero(uses != PacketUse.NONE))


def arrive(video: BinaryIO, table: FrameTable, frame_indices: Order, limits: Limits, total: "Decoded") -> bool:
    """Whether the frames `frame_indices` (ascending) of `video` can be decoded and told apart by their timestamps."""
    if table.pts is None or table.packet_pts is None:
        return False
    uses = packet_uses(table.packet_pts, table.packet_is_keyframe, table.pts[frame_indices])
    with open_video(video, limits, allow_damaged=True) as (container, stream):
        frames = _frames_of(container, stream, table, total, uses)
        return _place_frames(frames, [int(index) for index in frame_indices], lambda *_: None)


Place = Callable[[int, VideoFrame], None]
"""Writes the wanted frame at a position into the clips that it belongs to."""


def _place_stripped(
    stripped: BinaryIO, indices: Order, limits: Limits, decoded: "Decoded", place: Place, *, with_vectors: bool
) -> bool:
    """Place all frames of a stripped file that are wanted; False if one of them is missing or cannot be decoded."""
    try:
        with open_video(stripped, limits) as (container, stream):
            if with_vectors:
                export_vectors(stream)
            _use_threads(stream)
            frames = (frame for packet in demux(container, stream) for frame in packet.decode())
            return _place_frames(_numbered(frames, decoded), [int(index) for index in indices], place)
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise
        return False
    except InvalidVideo as error:
        if error.reason == Reason.TOO_LARGE:
            raise
        return False


def _numbered(frames: Iterator[VideoFrame], decoded: "Decoded") -> Iterator[tuple[int, VideoFrame]]:
    for frame in frames:
        decoded.count(frame)
        if frame.pts is not None and frame.time_base is not None:
            yield frame_number(frame.pts, frame.time_base), frame


def _place_frames(frames: Iterator[tuple[int, VideoFrame]], wanted: list[int], place: Place) -> bool:
    """Place the wanted frames of `frames`; False if one of them is missing."""
    position = 0
    for index, frame in frames:
        if index > wanted[position]:
            return False
        if index == wanted[position]:
            place(position, frame)
            position += 1
            if position == len(wanted):
                return True
    return False


def _place_or_repeat_frames(
    container: InputContainer,
    stream: VideoStream,
    table: FrameTable,
    decoded: "Decoded",
    wanted: list[int],
    place: Place,
) -> None:
    """Place all wanted frames; a missing one repeats the frame before it, unless the file is damaged."""
    on_screen: VideoFrame | None = None
    waiting = deque(enumerate(wanted))

    def place_missing(until: int) -> None:
        while waiting and waiting[0][1] < until:
            if decoded.refused_packets or on_screen is None:
                frame = f"frame {waiting[0][1]} of {table.info.frames}"
                raise InvalidVideo(f"{frame} cannot be decoded: the file is damaged", Reason.DAMAGED)
            place(waiting.popleft()[0], on_screen)

    for index, frame in _frames_of(container, stream, table, decoded):
        place_missing(until=index)
        if waiting and waiting[0][1] == index:
            place(waiting.popleft()[0], frame)
        if not waiting:
            return
        on_screen = frame
    place_missing(until=table.info.frames)


def _rgb(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: the frame as RGB, without the copy that `to_ndarray` makes.

    Converted as BT.601, whatever color space the file states: the networks were trained with frames converted so.
    Raises `InvalidVideo` if FFmpeg cannot convert it.
    """
    try:
        converted = reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            threads=1,
        )
        (plane,) = converted.planes
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise
        colours = f"{frame.format.name}, color space {int(frame.colorspace)}"
        raise InvalidVideo(f"the video's colors ({colours}) cannot be converted to RGB", Reason.DAMAGED) from error
    # A plane is a buffer, which PyAV's type stubs do not declare.
    rows = np.frombuffer(cast(memoryview, plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * 3].reshape(plane.height, plane.width, 3)


@dataclass
class Decoded:
    """Counts of one pass through a video."""

    frames: int = 0
    """Frames that the decoder returned."""
    refused_packets: int = 0
    """Packets that it rejected."""
    pixels: int = 0
    """Pixels of those frames."""
    max_pixels: float = math.inf
    """The most pixels that may be decoded."""

    def count(self, frame: VideoFrame) -> None:
        """Count a frame; raises `InvalidVideo` if there are too many pixels, which the container may not say."""
        self.frames += 1
        self.pixels += frame.width * frame.height
        if self.pixels > self.max_pixels:
            raise decoded_too_much(self.max_pixels)


def _frames_of(
    container: InputContainer, stream: VideoStream, table: FrameTable, decoded: Decoded, uses: Uses | None = None
) -> Iterator[tuple[int, VideoFrame]]:
    """Each decoded frame with its index; `decoded` counts frames and rejected packets.

    The index comes from the frame's pts, so that a packet that cannot be decoded costs its own frame and shifts no
    other; without timestamps, frames are counted. With `uses`, packets that no wanted frame needs are skipped.
    """
    _use_threads(stream)
    packets = demux(container, stream)
    if table.is_damaged:
        packets = until_unreadable(packets)
    count = 0
    for frame in _decode_all(packets, decoded) if uses is None else _decode_used(packets, stream, uses):
        decoded.count(frame)
        index = count
        if table.pts is not None and frame.pts is not None:
            index = int(np.searchsorted(table.pts, frame.pts))
            if index == len(table.pts) or table.pts[index] != frame.pts:
                continue
        count += 1
        yield index, frame


def _use_threads(stream: VideoStream) -> None:
    # Threads for whole frames attach the vectors of frames that another thread has not decoded yet.
    stream.thread_type = "SLICE" if exports_vectors(stream) else "AUTO"
    stream.codec_context.thread_count = min(usable_cores(), MAX_THREADS)


def until_unreadable(packets: Iterator[Packet]) -> Iterator[Packet]:
    """The packets before the place from which a damaged file cannot be read."""
    with contextlib.suppress(av.FFmpegError):
        yield from packets


def _decode_all(packets: Iterator[Packet], decoded: Decoded) -> Iterator[VideoFrame]:
    for packet in packets:
        try:
            yield from packet.decode()
        except av.FFmpegError:
            decoded.refused_packets += 1


def _decode_used(packets: Iterator[Packet], stream: VideoStream, uses: Uses) -> Iterator[VideoFrame]:
    """The frames of packets that have a use; after a gap the decoder is flushed, as after seeking."""
    context = stream.codec_context
    marked = context.codec.name in UNREFERENCED_ARE_MARKED
    gap = False
    for packet, use in zip((packet for packet in packets if packet.size), uses, strict=False):
        if use == PacketUse.NONE:
            gap = True
            continue
        with contextlib.suppress(av.FFmpegError):
            if gap:
                yield from context.decode(None)
                context.flush_buffers()
                gap = False
            if marked:
                context.skip_frame = "NONREF" if use == PacketUse.REFERENCE else "DEFAULT"
            yield from packet.decode()
    with contextlib.suppress(av.FFmpegError):
        yield from context.decode(None)
