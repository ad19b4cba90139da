"""Rate and correctness of DALI's decoding, on NVDEC or a CPU."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.stripped import StrippedVideo
from video import Parameters, Sampling, sample
from video.clips import CLIP_FRAMES, CLIP_SHAPE
from video.container import open_video, read_frame_table
from video.decoding import Frames, decode
from video.frame_form import FrameForm
from video.orders import for_dali

Pixels = NDArray[np.uint8]


def both_decoders(
    video: bytes,
    definition: Callable[..., Any],
    device: str,
    shortest_edge: int,
    parameters: Parameters,
    *,
    stripped: StrippedVideo | None = None,
) -> tuple[Sampling, Pixels, Pixels]:
    """The sampling of a video, and its frames as decoded by DALI and by the cpu profile.

    Frames are (frames, 224, 224, 3) uint8, those of the motion clips before those of the camera clips. `definition` is
    the function of the model repository's `dali.py`, `device` its argument: `mixed` (the GPU) or `cpu`. DALI reads the
    file of `stripped` instead, if it is given: in a server, it reads no others.
    """
    sampling, found, expected = decoded_by_both(video, definition, device, shortest_edge, parameters, stripped=stripped)
    clips = [np.concatenate([part.reshape(-1, *CLIP_SHAPE[1:]) for part in parts[:2]]) for parts in (found, expected)]
    return sampling, clips[0], clips[1]


def decoded_by_both(
    video: bytes,
    definition: Callable[..., Any],
    device: str,
    shortest_edge: int,
    parameters: Parameters,
    form: FrameForm | None = None,
    *,
    stripped: StrippedVideo | None = None,
) -> tuple[Sampling, list[Pixels], list[Pixels]]:
    """The same with what each gives apart: motion clips, camera clips, and frames in the image encoder's `form`."""
    with open_video(BytesIO(video)) as (container, stream):
        table = read_frame_table(container, stream)
    sampling = sample(table.timestamps, table.info.duration_seconds, parameters)
    orders = sampling.motion_order, sampling.camera_order, sampling.frame_order
    # As the backend: by default, a first run would ask for the inputs of a second one.
    gpu = None if device == "cpu" else 0
    pipeline = definition(device=device, device_id=gpu, exec_dynamic=True, prefetch_queue_depth=1)
    pipeline.build()
    size = np.array([table.info.height, table.info.width])
    if table.orientation.exchanges_sides:
        size = size[::-1]
    file, indices = (video, sampling.frame_indices) if stripped is None else (stripped.content, stripped.indices)
    pipeline.feed_input("VIDEO", [np.frombuffer(file, np.uint8)])
    names = ("MOTION_ORDER", "CAMERA_ORDER", "FRAME_ORDER")
    numbers: dict[str, NDArray[np.integer]] = {name: for_dali(order) for name, order in zip(names, orders, strict=True)}
    numbers["FRAME_INDICES"] = np.array(indices)
    orientation = np.array(table.orientation)
    for name, value in (numbers | {"FRAME_SIZE": size, "ORIENTATION": orientation}).items():
        pipeline.feed_input(name, [value.astype(np.int32)])
    found = [_on_cpu(output)[: len(order)] for output, order in zip(pipeline.run(), orders, strict=True)]
    for clips, order in zip(found[:2], orders[:2], strict=True):
        assert clips.shape == (len(order) // CLIP_FRAMES, *CLIP_SHAPE), clips.shape
    out = np.zeros((len(orders[0]) + len(orders[1]), *CLIP_SHAPE[1:]), np.uint8)
    frame_size = (form.height, form.width) if form else (0, 0)
    frames = np.zeros((len(orders[2]), *frame_size, 3), np.uint8)
    for_encoder = Frames(orders[2], form, frames) if form else None
    decode(BytesIO(video), sampling.frame_indices, *orders[:2], shortest_edge, out, frames=for_encoder)
    motion, camera = np.split(out.reshape(-1, *CLIP_SHAPE), [len(orders[0]) // CLIP_FRAMES])
    return sampling, found, [motion, camera, frames]


def frame_differences(found: Pixels, expected: Pixels) -> NDArray[np.float64]:
    """(frames,) mean absolute difference of each frame, from 0 to 255."""
    return np.array([np.abs(a.astype(np.int16) - b).mean() for a, b in zip(found, expected, strict=True)])


def _on_cpu(output: Any) -> Pixels:
    return np.array((output.as_cpu() if hasattr(output, "as_cpu") else output)[0])


def frames_per_second(video: bytes, frames: int, device: str, streams: int, seconds: float) -> float:
    """Frames a second of DALI's decoder, for a video of `frames` frames in `streams` streams at once.

    `device` is `mixed` (the GPU) or `cpu`. The decoder is that of the model repository, without resizing.
    """
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=streams, num_threads=streams, device_id=None if device == "cpu" else 0)
    def decoded() -> object:
        encoded = fn.external_source(name="VIDEO", dtype=types.UINT8, ndim=1)
        # Return one value a video instead of its frames, because only decoding is measured.
        return fn.reductions.max(fn.decoders.video(encoded, device=device))

    pipeline = decoded(prefetch_queue_depth=1)
    pipeline.build()
    batch = [np.frombuffer(video, np.uint8)] * streams

    def run() -> None:
        pipeline.feed_input("VIDEO", batch)
        for output in pipeline.run():
            _on_cpu(output)

    run()
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        run()
        runs += 1
    return runs * streams * frames / (time.perf_counter() - started)
