"""VIDEO and the frames that `video_sampling` chose, to clips: decoded once, resized as asked for, put in order.

Triton's dali backend serves this file as it is. `device` is where frames are decoded and resized: `mixed` (the GPU) or
`cpu`. An order that begins with -1 means that nothing of its kind is wanted; its output is then one clip, or one frame,
of zeros.
"""

import json
from pathlib import Path
from typing import Any

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.plugin.triton import autoserialize

SIZE = 224
FRAMES_OF_CLIP = 16
ROUNDED_DOWN = (1.0, 1.48, 1.0)
"""How much darker, in levels, FFmpeg's conversion to RGB is than DALI's; the networks were trained with FFmpeg's."""
MANIFEST = Path(__file__).parents[2] / "weights.json"


@autoserialize
@pipeline_def(
    batch_size=1,
    num_threads=2,
    device_id=0,
    output_dtype=[types.UINT8] * 3,
    output_ndim=[5, 5, 4],
    enable_conditionals=True,
)
def clips_of_video(device: str = "mixed") -> tuple[DataNode, DataNode, DataNode]:
    """MOTION_CLIPS and CAMERA_CLIPS (clips, 16, 224, 224, 3), FRAME_CLIPS (frames, height, width, 3); uint8 RGB."""
    video = fn.external_source(name="VIDEO", dtype=types.UINT8, ndim=1)
    frame_indices = fn.external_source(name="FRAME_INDICES", dtype=types.INT32, ndim=1)
    motion_order = fn.external_source(name="MOTION_ORDER", dtype=types.INT32, ndim=1)
    camera_order = fn.external_source(name="CAMERA_ORDER", dtype=types.INT32, ndim=1)
    frame_order = fn.external_source(name="FRAME_ORDER", dtype=types.INT32, ndim=1)
    # An input, because reading it off the frames would need a copy from the GPU, which the native executor does not do.
    height_and_width = fn.external_source(name="FRAME_SIZE", dtype=types.INT32, ndim=1)
    orientation = fn.external_source(name="ORIENTATION", dtype=types.INT32, ndim=1)

    frames = fn.decoders.video(video, frames=frame_indices, device=device)
    if motion_order[0] >= 0:
        motion = clips(turn(stretch(frames), orientation), motion_order)
    else:
        motion = nothing([1, FRAMES_OF_CLIP, SIZE, SIZE, 3], device)
    if camera_order[0] >= 0:
        camera = clips(turn(crop(frames, height_and_width, orientation), orientation), camera_order)
    else:
        camera = nothing([1, FRAMES_OF_CLIP, SIZE, SIZE, 3], device)
    if frame_order[0] >= 0:
        chosen = fn.sequence_rearrange(frames, new_order=frame_order)
        encoder_frames = fn.reshape(turn(prepare(chosen, height_and_width, orientation), orientation), layout="")
    else:
        encoder_frames = nothing([1, *frame_size(), 3], device)
    return motion, camera, encoder_frames


def nothing(shape: list[int], device: str) -> DataNode:
    """Zeros, copied to the GPU if frames are there: DALI has no operator that makes them there."""
    zeros = fn.zeros(shape=shape, dtype=types.UINT8)
    return zeros if device == "cpu" else zeros.gpu()


def preprocessing() -> dict[str, Any]:
    """How the image encoder wants its frames; without one, no frames are asked for."""
    default = {"resize": {"height": 1, "width": 1}, "resample": "bilinear", "crop": None}
    return json.loads(MANIFEST.read_text()).get("frames", {"preprocessing": default})["preprocessing"]


def frame_size() -> tuple[int, int]:
    """Height and width of a frame for the image encoder."""
    form = preprocessing()
    size = form["crop"] or form["resize"]
    return size["height"], size["width"]


def prepare(frames: DataNode, height_and_width: DataNode, orientation: DataNode) -> DataNode:
    """Frames for the image encoder: resized with antialiasing, then a center crop, as its checkpoint says.

    A video that is shown turned by 90 or 270 degrees comes here only if these frames are square.
    """
    form, (height, width) = preprocessing(), frame_size()
    if "shortest_edge" in form["resize"]:
        resized = height_and_width * form["resize"]["shortest_edge"] // fn.reductions.min(height_and_width)
    else:
        resized = height_and_width * 0 + types.Constant([form["resize"]["height"], form["resize"]["width"]])
    return resize_and_crop(frames, height_and_width, orientation, resized, (height, width), form["resample"])


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
    return resize_and_crop(frames, height_and_width, orientation, resized, (SIZE, SIZE), "bilinear")


def resize_and_crop(
    frames: DataNode,
    height_and_width: DataNode,
    orientation: DataNode,
    resized: DataNode,
    size: tuple[int, int],
    resample: str,
) -> DataNode:
    """Frames resized to `resized`, height and width, of which only the `size` in the center is computed."""
    # An odd pixel is cut off at the right or bottom of the frame as displayed.
    rotation, mirrored = orientation[0], orientation[1]
    flipped = fn.stack((rotation == 90) | (rotation == 180), ((rotation == 180) | (rotation == 270)) ^ (mirrored == 1))
    first = (resized - types.Constant(list(size)) + fn.cast(flipped, dtype=types.INT32)) // 2
    scale = height_and_width / resized
    return as_trained(
        fn.resize(
            frames,
            size=list(size),
            roi_start=first * scale,
            roi_end=(first + types.Constant(list(size))) * scale,
            dtype=types.FLOAT,
            interp_type=types.INTERP_CUBIC if resample == "bicubic" else types.INTERP_LINEAR,
            antialias=True,
        )
    )


def as_trained(frames: DataNode) -> DataNode:
    """Frames, uint8, in FFmpeg's colors, which the networks were trained with."""
    return fn.cast(frames - types.Constant(ROUNDED_DOWN), dtype=types.UINT8)


def clips(frames: DataNode, order: DataNode) -> DataNode:
    """(frames, 224, 224, 3) in `order`, 16 per clip; the dali backend makes the clips the batch of the networks."""
    ordered = fn.sequence_rearrange(frames, new_order=order)
    return fn.reshape(ordered, shape=[-1, FRAMES_OF_CLIP, SIZE, SIZE, 3], layout="")
