"""The clips that 8-bit networks are calibrated on, and those that they are checked on."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from video import IsolatedDecoder, Limits, VideoError

Clips = NDArray[np.uint8]
TIMEOUT_SECONDS = 600.0
"""Time limit for reading one video."""
HELD_BACK = 5
"""One of so many calibration videos is held back for the check, if no others are given for it."""


@dataclass(frozen=True)
class VideoClips:
    """The clips of one video, as the server decodes them: (clips, 16, 224, 224, 3) uint8."""

    motion: Clips
    camera: Clips


def divide(videos: Sequence[Path], check: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The videos to calibrate on, and those to check on, which calibration does not see.

    Without `check`, every fifth of the videos is held back, and the last one of fewer; none of a single one.
    """
    if check or len(videos) < 2:
        return list(videos), list(check)
    held_back = list(videos[HELD_BACK - 1 :: HELD_BACK]) or [videos[-1]]
    return [video for video in videos if video not in held_back], held_back


def read_clips(videos: Sequence[Path], shortest_edge: int) -> list[VideoClips]:
    """The clips of each video, for classifiers with this `shortest_edge`; `ExportError` names an unreadable one."""
    clips = []
    with contextlib.closing(IsolatedDecoder(Limits(timeout_seconds=TIMEOUT_SECONDS))) as decoder:
        for path in videos:
            try:
                video = memoryview(path.read_bytes())
                plan = decoder.plan(video, {})
                frames, motion_order, camera_order = (
                    np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order")
                )
                motion, camera, *_ = decoder.decode(video, frames, motion_order, camera_order, shortest_edge)
            except (OSError, VideoError) as error:
                raise ExportError(f"cannot take clips from {path}: {error}") from error
            clips.append(VideoClips(np.array(motion), np.array(camera)))
    return clips
