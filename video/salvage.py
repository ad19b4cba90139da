"""What is left of a damaged video, for requests that allow it: which of its frames decode.

A packet that the decoder refuses costs its own frame and, because those after it may refer to it, all up to the next
keyframe. A video that turns out to be undamaged is sampled as if nothing had been asked.
"""

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
from video.errors import InvalidVideo, Reason
from video.limits import Limits
from video.parameters import Parameters
from video.plan import LEAST_SHARE
from video.sampling import Sampling, sample


def sample_what_decodes(
    video: BinaryIO, table: FrameTable, parameters: Parameters, limits: Limits, total: Decoded
) -> tuple[Sampling, float]:
    """The frames of a video that may be damaged, and the share of its frames that decode, from 0.5 to 1.

    `table` was read with `allow_damaged`. Raises `InvalidVideo` if less than half of the frames decode.
    """
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
        found, in_doubt, refused, last = _decode(container, stream, total)
    if not refused and not table.is_damaged:
        return np.ones_like(decodes)  # a frame that the decoder leaves out repeats the one before
    if table.is_damaged:
        in_doubt.add(last)  # where the file ends, a part of a packet may look like a whole one
    for number, frame in enumerate(found):
        index = number
        if table.pts is not None and frame.pts is not None:
            index = int(np.searchsorted(table.pts, frame.pts))
            if index < len(table.pts) and table.pts[index] != frame.pts:
                continue
        if index < len(decodes):
            decodes[index] = frame.is_whole and frame.pts not in in_doubt
    return decodes


class Found(NamedTuple):
    """A decoded frame."""

    pts: int | None
    """Its pts."""
    is_whole: bool
    """False if the decoder says that a part of it is wrong."""


def _decode(
    container: InputContainer, stream: VideoStream, total: Decoded
) -> tuple[list[Found], set[int | None], int, int | None]:
    """The decoded frames, the pts of those that may refer to a lost one, the count of refused packets, the last pts."""
    stream.thread_type = "NONE"  # with threads, an error would show some packets later
    stream.codec_context.thread_count = 1
    found: list[Found] = []
    in_doubt: set[int | None] = set()
    refused, last = 0, None
    doubtful, complete_from = False, -np.inf
    for packet in until_unreadable(container.demux(stream)):
        if not packet.size:
            continue
        if packet.is_keyframe and doubtful:
            # Frames that are shown before this keyframe may still refer to what is before it.
            doubtful, complete_from = False, packet.pts if packet.pts is not None else -np.inf
        last = packet.pts
        frames, failed = _frames(stream, packet)
        failed |= packet.is_corrupt
        refused += failed
        doubtful |= failed
        if doubtful or (packet.pts is not None and packet.pts < complete_from):
            in_doubt.add(packet.pts)
        found += [Found(frame.pts, not frame.is_corrupt) for frame in frames]
    rest, _ = _frames(stream, None)
    found += [Found(frame.pts, not frame.is_corrupt) for frame in rest]
    total.frames += len(found)
    return found, in_doubt - {None}, refused, last


def _frames(stream: VideoStream, packet: Packet | None) -> tuple[list[VideoFrame], bool]:
    """The frames that the decoder returns for a packet, or for the end if it is None, and whether it refused it."""
    try:
        return stream.codec_context.decode(packet), False
    except av.FFmpegError:
        return [], True
