"""Samples: rendered clips as the server samples and decodes them, with their true motion."""

from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from training.renderer import Clip
from training.truth import WHOLE, displacement, elapsed, rates
from video.clips import CLIP_FRAMES, FRAME_SIZE
from video.container import open_video, read_frame_table
from video.decoding import decode
from video.limits import Limits
from video.parameters import Parameters
from video.sampling import sample

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

SIDE = 112
"""Height and width of stored frames: half of the networks', whose first layer averages 2 x 2 pixels."""
TOKENS = 7
"""Rows and columns of patches in a frame."""
TUBELET = 2
"""Frames of a patch in time."""
LIMITS = Limits()


@dataclass(frozen=True)
class Sample:
    """One clip of 16 frames as a network sees it, with the truth."""

    frames: Picture
    """(16, 112, 112, 3) RGB."""
    motion: NDArray[np.float16]
    """(8, 7, 7, 4) for each patch, the displacement (x, y) of its centre between its two frames, and the displacement
    by the camera alone; as fractions of the clip's width and height. NaN across a cut."""
    light: NDArray[np.float32]
    """(15, 5) changes from each frame to the next, as in `Light.steps`."""
    rates: Floats
    """(3,) `training.truth.rates` of the visible part."""
    seconds: float
    """From the first frame to the last."""
    span: Floats
    """(2,) the picture's width, which blurs are measured in, in widths and heights of the frame."""
    labels: frozenset[str]


def read(video: bytes, clip: Clip) -> tuple[Sample, Sample]:
    """The first motion segment and the first camera clip of the file `video`, which shows `clip`."""
    file = BytesIO(video)
    with open_video(file, LIMITS) as (container, stream):
        table = read_frame_table(container, stream, LIMITS)
    sampling = sample(table.timestamps, table.info.duration_seconds, Parameters())
    motion_order, camera_order = sampling.motion_order[:CLIP_FRAMES], sampling.camera_order[:CLIP_FRAMES]
    out = np.empty((2 * CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
    file.seek(0)
    indices = sampling.frame_indices
    used = np.unique(np.concatenate([motion_order, camera_order]))
    place = np.zeros(len(indices), int)
    place[used] = np.arange(len(used))
    decode(file, indices[used], place[motion_order], place[camera_order], FRAME_SIZE, out, limits=LIMITS)
    # The fraction of the picture's width and height that the centre crop shows.
    part = min(clip.width, clip.height) / np.array([clip.width, clip.height])
    return (
        _sample(out[:CLIP_FRAMES], clip, indices[motion_order], WHOLE),
        _sample(out[CLIP_FRAMES:], clip, indices[camera_order], part),
    )


def _sample(frames: Picture, clip: Clip, indices: NDArray[np.int64], part: Floats) -> Sample:
    small = np.stack([cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in frames])
    line = (np.arange(TOKENS) + 0.5) / TOKENS
    points = (np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2) - 0.5) * part + 0.5
    motion = np.empty((CLIP_FRAMES // TUBELET, TOKENS * TOKENS, 4), np.float16)
    for index in range(len(motion)):
        before, after = indices[TUBELET * index : TUBELET * (index + 1)]
        moved = displacement(clip, int(before), int(after), points)
        both = np.concatenate([moved.total / part, moved.camera / part], axis=1)
        motion[index] = np.where(moved.seen[:, None], both.clip(-2, 2), np.nan)
    light = clip.light.steps(indices).astype(np.float32)
    return Sample(
        small,
        motion.reshape(-1, TOKENS, TOKENS, 4),
        light,
        rates(clip, indices, part),
        elapsed(clip, indices),
        np.array([1, clip.width / clip.height]) / part,
        clip.moves.labels,
    )
