"""NVDEC alone: frames a second through three libraries, with as many videos at once as there are engines."""

import importlib
import importlib.util
import threading
import time
from collections.abc import Callable

from bench.gpu import decoding
from bench.gpu.steps import Skipped

FRAMES_AT_ONCE = 32
"""How many decoded frames a caller holds in GPU memory."""


def frames_per_second(library: str, video: bytes, frames: int, streams: int, seconds: float) -> float:
    """Frames a second of a library of `grid.LIBRARIES`; `Skipped` if it is not installed."""
    if library == "DALI":
        need_dali()
        return decoding.frames_per_second(video, frames, "mixed", streams, seconds)
    if library == "PyNvVideoCodec":
        _need("PyNvVideoCodec", "pip install 'pynvvideocodec>=2.2'")  # older ones take paths only
        return videos_per_second(lambda: _pynvvideocodec(video), streams, seconds) * frames
    _need("torchcodec", "pip install torchcodec")
    return videos_per_second(lambda: _torchcodec(video), streams, seconds) * frames


def videos_per_second(begin: Callable[[], Callable[[], None]], streams: int, seconds: float) -> float:
    """Videos a second in `streams` threads, counted for `seconds` after each has decoded one.

    `begin` makes, in its thread, what decodes the video once.
    """
    warm = threading.Barrier(streams + 1)
    finished: list[float] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def stream() -> None:
        try:
            decode = begin()
            decode()
            warm.wait()
            while not stop.is_set():
                decode()
                finished.append(time.perf_counter())
        except threading.BrokenBarrierError:
            pass  # another stream failed
        except BaseException as error:
            failures.append(error)
            warm.abort()
            stop.set()

    threads = [threading.Thread(target=stream, daemon=True) for _ in range(streams)]
    for thread in threads:
        thread.start()
    try:
        warm.wait()
        started = time.perf_counter()
        stop.wait(seconds)
        while not finished and not failures:  # a video may take longer than that
            stop.wait(0.01)
    except threading.BrokenBarrierError:
        pass
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(finished) / (max(finished) - started)


def _pynvvideocodec(video: bytes) -> Callable[[], None]:
    codec = importlib.import_module("PyNvVideoCodec")
    decoder = codec.SimpleDecoder(video, gpu_id=0, use_device_memory=True)
    frames = len(decoder)

    def decode() -> None:
        decoder.seek_to_index(0)
        for _ in range(0, frames, FRAMES_AT_ONCE):
            decoder.get_batch_frames(FRAMES_AT_ONCE)

    return decode


def _torchcodec(video: bytes) -> Callable[[], None]:
    decoders = importlib.import_module("torchcodec.decoders")

    def decode() -> None:
        decoder = decoders.VideoDecoder(video, device="cuda", seek_mode="approximate")
        for first in range(0, len(decoder), FRAMES_AT_ONCE):
            batch = decoder.get_frames_in_range(first, min(first + FRAMES_AT_ONCE, len(decoder)))
            batch.data[-1].flatten()[0].item()  # waits for the GPU
        if decoder.cpu_fallback:  # it decodes on the CPU what NVDEC cannot
            raise Skipped(f"TorchCodec does not use NVDEC: {decoder.cpu_fallback}")

    return decode


def need_dali() -> None:
    """Raise `Skipped` if DALI is not installed."""
    _need("nvidia.dali", "make setup-gpu")


def _need(module: str, install: str) -> None:
    parent = module.partition(".")[0]
    if importlib.util.find_spec(parent) is None or importlib.util.find_spec(module) is None:
        raise Skipped(f"{module} is not installed: {install}")
