"""VIDEO and the frames that `video_sampling` chose, to clips: decoded once, resized in two ways, put in order.

Triton's dali backend serves this file as it is. `device` is where frames are decoded and resized: `mixed` (the GPU) or
`cpu`.
"""

import json
from pathlib import Path

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.plugin.triton import autoserialize

SIZE = 224
FRAMES_OF_CLIP = 16
ROUNDED_DOWN = (1.0, 1.48, 1.0)
"""How much darker, in levels, FFmpeg's conversion to RGB is than DALI's; the networks were trained with FFmpeg's."""
MANIFEST = Path(__file__).parents[2] / "weights.json"


@autoserialize
@pipeline_def(batch_size=1, num_threads=2, device_id=0, output_dtype=[types.UINT8] * 2, output_ndim=[5] * 2)
def clips_of_video(device: str = "mixed") -> tuple[DataNode, DataNode]:
    """MOTION_CLIPS and CAMERA_CLIPS, each (clips, 16, 224, 224, 3) uint8 RGB."""
    video = fn.external_source(name="VIDEO", dtype=types.UINT8, ndim=1)
    frame_indices = fn.external_source(name="FRAME_INDICES", dtype=types.INT32, ndim=1)
    motion_order = fn.external_source(name="MOTION_ORDER", dtype=types.INT32, ndim=1)
    camera_order = fn.external_source(name="CAMERA_ORDER", dtype=types.INT32, ndim=1)
    # An input, because reading it off the frames would need a copy from the GPU, which the native executor does not do.
    height_and_width = fn.external_source(name="FRAME_SIZE", dtype=types.INT32, ndim=1)
    orientation = fn.external_source(name="ORIENTATION", dtype=types.INT32, ndim=1)

    frames = fn.decoders.video(video, frames=frame_indices, device=device)
    motion = clips(turn(stretch(frames), orientation), motion_order, "MOTION_CLIPS")
    camera = clips(turn(crop(frames, height_and_width, orientation), orientation), camera_order, "CAMERA_CLIPS")
    return motion, camera


def stretch(frames: DataNode) -> DataNode:
    """The motion rule: bilinear without antialiasing; the aspect ratio is not kept."""
    return as_trained(
        fn.resize(frames, size=[SIZE, SIZE], dtype=types.FLOAT, interp_type=types.INTERP_LINEAR, antialias=False)
    )


def turn(frames: DataNode, orientation: DataNode) -> DataNode:
    """Square frames mirrored, or not, then rotated clockwise by 0, 90, 180 or 270 degrees, without interpolation."""
    rotation, mirrored = orientation[0], orientation[1]
    frames = fn.flip(frames, horizontal=mirrored)
    return fn.rotate(frames, angle=-fn.cast(rotation, dtype=types.FLOAT), keep_size=True, interp_type=types.INTERP_NN)


def crop(frames: DataNode, height_and_width: DataNode, orientation: DataNode) -> DataNode:
    """The camera rule: the shorter side to `shortest_edge`, antialiased, then a center crop."""
    shortest_edge = json.loads(MANIFEST.read_text())["shortest_edge"]
    # Truncated, as in the checkpoint's image processor.
    resized = height_and_width * shortest_edge // fn.reductions.min(height_and_width)
    # An odd pixel is cut off at the right or bottom of the frame as displayed.
    rotation, mirrored = orientation[0], orientation[1]
    flipped = fn.stack((rotation == 90) | (rotation == 180), ((rotation == 180) | (rotation == 270)) ^ (mirrored == 1))
    first = (resized - SIZE + fn.cast(flipped, dtype=types.INT32)) // 2
    scale = height_and_width / resized
    return as_trained(
        fn.resize(
            frames,
            size=[SIZE, SIZE],
            roi_start=first * scale,
            roi_end=(first + SIZE) * scale,
            dtype=types.FLOAT,
            interp_type=types.INTERP_LINEAR,
            antialias=True,
        )
    )


def as_trained(frames: DataNode) -> DataNode:
    """Frames, uint8, in FFmpeg's colors, which the networks were trained with."""
    return fn.cast(frames - types.Constant(ROUNDED_DOWN), dtype=types.UINT8)


def clips(frames: DataNode, order: DataNode, name: str) -> DataNode:
    """(frames, 224, 224, 3) in `order`, 16 per clip; the dali backend makes the clips the batch of the networks."""
    ordered = fn.sequence_rearrange(frames, new_order=order)
    return fn.reshape(ordered, shape=[-1, FRAMES_OF_CLIP, SIZE, SIZE, 3], layout="", name=name)
