"""VIDEO and the frames that `video_sampling` chose, to clips: decoded once, resized in two ways, put in order.

Triton's dali backend serves this file as it is. `device` is where frames are decoded and resized: `mixed`, the GPU, or
`cpu`, which changes nothing else.
"""

import json
from pathlib import Path

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.data_node import DataNode
from nvidia.dali.plugin.triton import autoserialize

SIZE = 224
FRAMES_OF_CLIP = 16
MANIFEST = Path(__file__).parents[2] / "weights.json"


@autoserialize
@pipeline_def(
    batch_size=1, num_threads=2, device_id=0, exec_dynamic=True, output_dtype=[types.UINT8] * 2, output_ndim=[5] * 2
)
def clips_of_video(device: str = "mixed") -> tuple[DataNode, DataNode]:
    """MOTION_CLIPS and CAMERA_CLIPS, each (clips, 16, 224, 224, 3) uint8 RGB."""
    video = fn.external_source(name="VIDEO", dtype=types.UINT8, ndim=1)
    frame_indices = fn.external_source(name="FRAME_INDICES", dtype=types.INT32, ndim=1)
    motion_order = fn.external_source(name="MOTION_ORDER", dtype=types.INT32, ndim=1)
    camera_order = fn.external_source(name="CAMERA_ORDER", dtype=types.INT32, ndim=1)

    frames = fn.decoders.video(video, frames=frame_indices, device=device)
    motion = clips(stretch(frames), motion_order, "MOTION_CLIPS")
    camera = clips(crop(frames), camera_order, "CAMERA_CLIPS")
    return motion, camera


def stretch(frames: DataNode) -> DataNode:
    """The motion rule: bilinear without antialiasing, the aspect ratio given up."""
    return fn.resize(frames, size=[SIZE, SIZE], interp_type=types.INTERP_LINEAR, antialias=False)


def crop(frames: DataNode) -> DataNode:
    """The camera rule: the shorter side to `shortest_edge`, antialiased, and the centre of that."""
    shortest_edge = json.loads(MANIFEST.read_text())["shortest_edge"]
    height_and_width = fn.cast(frames.shape(device="cpu")[1:3], dtype=types.INT32)
    # Truncated, as the image processor of the checkpoint does it.
    resized = height_and_width * shortest_edge // fn.reductions.min(height_and_width)
    first = (resized - SIZE) // 2
    scale = height_and_width / resized
    return fn.resize(
        frames,
        size=[SIZE, SIZE],
        roi_start=first * scale,
        roi_end=(first + SIZE) * scale,
        interp_type=types.INTERP_LINEAR,
        antialias=True,
    )


def clips(frames: DataNode, order: DataNode, name: str) -> DataNode:
    """(frames, 224, 224, 3) in `order`, 16 to a clip; the dali backend makes the clips the batch of the networks."""
    ordered = fn.sequence_rearrange(frames, new_order=order)
    return fn.reshape(ordered, shape=[-1, FRAMES_OF_CLIP, SIZE, SIZE, 3], layout="", name=name)
