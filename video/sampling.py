"""Which frames make up which clip: pure functions of timestamps and parameters, for every profile.

The motion rule is the published predictor's, the camera rule the published classifier's. Indices count frames in
presentation order, from 0.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video.clips import CLIP_FRAMES
from video.errors import InvalidParameter
from video.measures.frames import measured_frames
from video.parameters import Parameters
from video.signals import ON_CAMERA_CLIPS, ON_MOTION_CLIPS, Signal

TOLERANCE_SECONDS = 1e-6
"""Timestamps closer than this are equal: in floating point, 5.28 - 2 is not exactly 3.28."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class StreamInfo:
    """A video stream, measured by its frames; what its header states counts where it agrees with them."""

    duration_seconds: float
    """From the first frame to the end of the last one."""
    frames: int
    """Number of displayed frames."""
    frames_per_second: float
    """Average frame rate."""
    width: int
    """Width of a frame in pixels."""
    height: int
    """Height of a frame in pixels."""


@dataclass(frozen=True)
class Sampling:
    """The frames to decode, and their positions in the clips."""

    frame_indices: Indices
    """(wanted,) ascending, without repeats."""
    motion_order: Indices
    """(segments * 16,) positions in `frame_indices`."""
    camera_order: Indices
    """(clips * 16,) positions in `frame_indices`."""
    frame_order: Indices
    """(frames,) positions in `frame_indices`, for the image encoder."""
    frame_seconds: NDArray[np.float64]
    """(frames,) when each of those is shown."""
    clip_seconds: NDArray[np.float64]
    """(clips, 2) start and end of each camera clip."""
    metric_order: Indices
    """(measured,) positions in `frame_indices`, ascending, of the frames that are measured."""


def sample(timestamps: NDArray[np.float64], duration_seconds: float, parameters: Parameters) -> Sampling:
    """Choose the frames of a video, for the signals that `parameters` names.

    `timestamps` (frames,) are in seconds, ascending, at least one. What no signal needs is empty. Raises
    `InvalidParameter` if no frame lies between `start_seconds` and `end_seconds`, and `InvalidVideo` if too many are to
    be measured.
    """
    asked_from = -math.inf if parameters.start_seconds is None else parameters.start_seconds
    asked_to = math.inf if parameters.end_seconds is None else parameters.end_seconds
    origin = float(timestamps[0]) if parameters.from_first_frame else 0.0
    wanted_from, wanted_to = origin + asked_from, origin + asked_to
    first, stop = _frames_between(timestamps, wanted_from, wanted_to)
    if first == stop:
        shown = f"the video's frames are from {timestamps[0] - origin:g} to {timestamps[-1] - origin:g} s"
        raise InvalidParameter(
            f"no frame lies between start_seconds {asked_from:g} and end_seconds {asked_to:g}: {shown}"
            + (", counted from the first one" if parameters.from_first_frame else "")
        )
    part = timestamps[first:stop]
    part_seconds = duration_seconds
    if parameters.start_seconds is not None or parameters.end_seconds is not None:
        # Rounded, because (0.1 + 4) - 0.1 is not exactly 4 and the motion rule counts whole seconds.
        part_seconds = round(max(0.0, min(timestamps[0] + duration_seconds, wanted_to) - part[0]), 6)
    signals = frozenset(parameters.signals)
    motion, camera, frames, measured = (np.empty(0, np.int64) for _ in range(4))
    clip_seconds = np.empty((0, 2))
    if signals & ON_MOTION_CLIPS:
        motion = first + motion_frame_indices(len(part), part_seconds, parameters.fps, parameters.max_frames)
    if signals & ON_CAMERA_CLIPS:
        clip_seconds = camera_windows(part[0], part_seconds, parameters)
        camera = first + np.concatenate([camera_frame_indices(part, start, stop) for start, stop in clip_seconds])
    if Signal.FRAMES in signals:
        frames = first + evenly_spread(0, len(part) - 1, parameters.frames)
    if Signal.METRICS in signals:
        measured = first + measured_frames(part, TOLERANCE_SECONDS)
    chosen = [motion, camera, frames, measured]
    frame_indices, order = np.unique(np.concatenate(chosen), return_inverse=True)
    motion_order, camera_order, frame_order, metric_order = np.split(order, np.cumsum([*map(len, chosen[:-1])]))
    seconds = timestamps[frames]
    return Sampling(frame_indices, motion_order, camera_order, frame_order, seconds, clip_seconds, metric_order)


def motion_frame_indices(frames: int, duration_seconds: float, fps: float, max_frames: int) -> Indices:
    """(segments * 16,) the frames for the motion scores, evenly spread from the first to the last."""
    wanted = int(min(fps * int(duration_seconds), max_frames))
    return evenly_spread(0, frames - 1, (wanted // CLIP_FRAMES + 1) * CLIP_FRAMES)


def camera_windows(start: float, duration_seconds: float, parameters: Parameters) -> NDArray[np.float64]:
    """(clips, 2) start and end in seconds of the camera clips of a video that starts at `start`."""
    window, stride = parameters.clip_seconds, parameters.stride_seconds
    if duration_seconds <= window + TOLERANCE_SECONDS:
        return np.array([[start, start + duration_seconds]])
    whole = math.floor((duration_seconds - window + TOLERANCE_SECONDS) / stride) + 1
    left_over = duration_seconds - ((whole - 1) * stride + window)
    windows = whole + (left_over >= window / 2 - TOLERANCE_SECONDS)
    # Computed, not listed: a container may state a duration of years.
    chosen = np.round(np.linspace(0, windows - 1, min(windows, parameters.max_clips)))
    # The window after the last whole one is aligned to the end.
    starts = start + np.where(chosen == whole, duration_seconds - window, chosen * stride)
    return np.stack([starts, starts + window], axis=1)


def camera_frame_indices(timestamps: NDArray[np.float64], start: float, end: float) -> Indices:
    """(16,) frames evenly spread over those with start <= timestamp < end.

    If no frame starts in the window, the frame displayed at `start` fills it.
    """
    first, stop = _frames_between(timestamps, start, end)
    if first == stop:
        first = max(first - 1, 0)
        stop = first + 1
    return evenly_spread(first, stop - 1, CLIP_FRAMES)


def evenly_spread(first: int, last: int, count: int) -> Indices:
    """`linspace(first, last, count)` in float32, truncated.

    Computed as PyTorch does, from both ends towards the middle: in float32 this decides which frame is taken.
    """
    if count == 1:
        return np.array([first])
    step = np.float32(last - first) / np.float32(count - 1)
    positions = np.arange(count, dtype=np.float32)
    rising = np.float32(first) + step * positions
    falling = np.float32(last) - step * positions[::-1]
    return np.where(positions < count // 2, rising, falling).astype(np.int64)


def _frames_between(timestamps: NDArray[np.float64], start: float, end: float) -> tuple[int, int]:
    """The range of frames with start <= timestamp < end."""
    first, stop = np.searchsorted(timestamps, [start - TOLERANCE_SECONDS, end - TOLERANCE_SECONDS])
    return int(first), max(int(first), int(stop))
