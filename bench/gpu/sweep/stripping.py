"""What stripping saves NVDEC: wanted frames a second, decoded from the whole file and from the stripped one."""

import time
from io import BytesIO
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bench.gpu.steps import Skipped
from video.isolation import IsolatedDecoder
from video.limits import Limits


def measure(video: bytes, device: str, streams: int, seconds: float) -> dict[str, Any]:
    """Rates of the frames that a request with default parameters wants, in wanted frames a second, for both files.

    `device` is `mixed` (NVDEC) or `cpu`. `Skipped` if the reader makes no stripped file of this video.
    """
    reader = IsolatedDecoder(Limits())
    try:
        plan = reader.plan(memoryview(video), {})
    finally:
        reader.close()
    stripped = plan.get("stripped_video")
    if stripped is None or not len(stripped):
        raise Skipped("the reader makes no stripped file of this video")
    whole = np.frombuffer(video, np.uint8)
    files = {"whole": (whole, plan["frame_indices"]), "stripped": (stripped, plan["stripped_indices"])}
    raw: dict[str, Any] = {"wanted_frames": len(plan["frame_indices"])}
    for name, (file, indices) in files.items():
        raw[f"{name}_wanted_fps"] = wanted_per_second(file, indices, device, streams, seconds)
        raw[f"{name}_packets"] = packets(file.tobytes())
        raw[f"{name}_bytes"] = len(file)
    return raw


def wanted_per_second(video: NDArray[np.uint8], indices: list[int], device: str, streams: int, seconds: float) -> float:
    """Wanted frames a second of DALI's decoder, with `streams` copies of a video at once."""
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=streams, num_threads=streams, device_id=None if device == "cpu" else 0)
    def decoded() -> object:
        encoded = fn.external_source(name="VIDEO", dtype=types.UINT8, ndim=1)
        wanted = fn.external_source(name="WANTED", dtype=types.INT32, ndim=1)
        # One value a video instead of its frames, because only decoding is measured.
        return fn.reductions.max(fn.decoders.video(encoded, frames=wanted, device=device))

    pipeline = decoded(prefetch_queue_depth=1)
    pipeline.build()
    wanted = np.array(indices, np.int32)

    def run() -> None:
        pipeline.feed_input("VIDEO", [video] * streams)
        pipeline.feed_input("WANTED", [wanted] * streams)
        for output in pipeline.run():
            output.as_cpu() if hasattr(output, "as_cpu") else output

    run()
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds or not runs:
        run()
        runs += 1
    return runs * streams * len(indices) / (time.perf_counter() - started)


def packets(video: bytes) -> int:
    """Packets of the first video stream of a file."""
    with av.open(BytesIO(video), "r") as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
