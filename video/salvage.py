"""What is left of a damaged video, for requests that allow it: which of its frames decode.

A packet that the decoder refuses costs its own frame and, because those after it may refer to it, all up to the next
keyframe. A video that turns out to be undamaged is sampled as if nothing had been asked.
"""

import os
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video.container import FrameTable, open_video
from video.decoding import Decoded, arrive, until_unreadable
from video.demuxing import demux
from video.errors import InvalidVideo, Reason
from video.limits import Limits
from video.parameters import Parameters
from video.plan import LEAST_SHARE
from video.sampling import Sampling, sample
from video.work import max_pixels


def sample_what_decodes(
    video: BinaryIO, table: FrameTable, parameters: Parameters, limits: Limits, total: Decoded
) -> tuple[Sampling, float]:
    """The frames of a video that may be damaged, and the share of its frames that decode, from 0.5 to 1.

    `table` was read with `allow_damaged`. Raises `InvalidVideo` if less than half of the frames decode.
    """
    total.max_pixels = 2 * max_pixels(video.seek(0, os.SEEK_END), limits)  # it may be decoded twice
    if not table.is_damaged:
        sampling = sample(table.timestamps, table.info.duration_seconds, parameters)
        if arrive(video, table, sampling.frame_indices, limits, total):
            return sampling, 1.0
    decodes = which_decode(video, table, limits, total)
    kept = np.flatnonzero(decodes)
    frames = len(decodes) + table.frames_missing
    if len(kept) == frames:
        return sample(table.timestamps, table.info.duration_seconds, parameters), 1.0
    if len(kept) < LEAST_SHARE * frames or not len(kept):
        why = f"only {len(kept)} of the video's {frames} frames can be decoded, less than half: the file is damaged"
        raise InvalidVideo(why, Reason.DAMAGED)
    timestamps = table.timestamps[kept]
    one_frame = 1 / table.info.frames_per_second if table.info.frames_per_second else 0.0
    duration = min(table.info.duration_seconds, float(timestamps[-1] - timestamps[0]) + one_frame)
    sampling = sample(timestamps, duration, parameters)
    return replace(sampling, frame_indices=kept[sampling.frame_indices]), len(kept) / frames


def which_decode(video: BinaryIO, table: FrameTable, limits: Limits, total: Decoded) -> NDArray[np.bool_]:
    """(frames,) whether each frame of `table` decodes; without timestamps, frames are counted in decoding order."""
    decodes = np.zeros(table.info.frames, np.bool_)
    with open_video(video, limits, allow_damaged=True) as (container, stream):
        packets, frames = _decode(container, stream, total)
    nothing_lost = not table.is_damaged and not any(packet.is_lost for packet in packets)
    in_doubt = _in_doubt(packets, {frame.pts for frame in frames if not frame.is_whole})
    if table.is_damaged and packets:
        in_doubt.add(packets[-1].pts)  # where the file ends, a part of a packet may look like a whole one
    for number, frame in enumerate(frames):
        index = number
        if table.pts is not None and frame.pts is not None:
            index = int(np.searchsorted(table.pts, frame.pts))
            if index < len(table.pts) and table.pts[index] != frame.pts:
                continue
        if index < len(decodes):
            decodes[index] = nothing_lost or (frame.is_whole and (frame.pts is None or frame.pts not in in_doubt))
    if nothing_lost and decodes.any():
        decodes[int(decodes.argmax()) :] = True  # a frame that the decoder leaves out repeats the one before
    return decodes


class _Packet(NamedTuple):
    pts: int | None
    is_keyframe: bool
    is_lost: bool
    """Whether the container or the decoder refuses it."""


class _Frame(NamedTuple):
    pts: int | None
    is_whole: bool
    """False if the decoder says that a part of it is wrong."""


def _decode(container: InputContainer, stream: VideoStream, total: Decoded) -> tuple[list[_Packet], list[_Frame]]:
    """Every packet, and every frame that the decoder returns, counted in `total`."""
    stream.thread_type = "NONE"  # with threads, an error would show some packets later
    stream.codec_context.thread_count = 1
    packets: list[_Packet] = []
    frames: list[_Frame] = []
    for packet in until_unreadable(demux(container, stream)):
        if packet.size:
            decoded, refused = _frames(stream, packet)
            packets.append(_Packet(packet.pts, packet.is_keyframe, refused or packet.is_corrupt))
            frames += _counted(decoded, total)
    rest, _ = _frames(stream, None)
    return packets, frames + _counted(rest, total)


def _counted(frames: list[VideoFrame], total: Decoded) -> list[_Frame]:
    for frame in frames:
        total.count(frame)
    return [_Frame(frame.pts, not frame.is_corrupt) for frame in frames]


def _in_doubt(packets: list[_Packet], incomplete: set[int | None]) -> set[int | None]:
    """The pts of frames that are lost or may refer to one that is; `incomplete` has the pts of incomplete frames."""
    in_doubt: set[int | None] = set()
    doubtful, complete_from = False, -np.inf
    for packet in packets:
        if packet.is_keyframe and doubtful:
            # Frames that are shown before this keyframe may still refer to what is before it.
            doubtful, complete_from = False, -np.inf if packet.pts is None else packet.pts
        doubtful |= packet.is_lost or (packet.pts is not None and packet.pts in incomplete)
        if doubtful or (packet.pts is not None and packet.pts < complete_from):
            in_doubt.add(packet.pts)
    return in_doubt


def _frames(stream: VideoStream, packet: Packet | None) -> tuple[list[VideoFrame], bool]:
    """The frames that the decoder returns for a packet, or for the end if it is None, and whether it refused it."""
    try:
        return stream.codec_context.decode(packet), False
    except av.FFmpegError:
        return [], True
