"""The gpu profile in a real server: differences from the reference figures, latency and throughput."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from bench.gpu.steps import Figure
from client import Client, Score
from server import Server

REFERENCE = Path(__file__).parents[2] / "tests" / "reference"
FIRST_REQUEST = 1.5
"""Largest latency of the first request, as a multiple of the median."""
BOUND = 0.01
"""Largest difference of a motion score or a probability in fp16 from float32."""


def differences(
    videos: Mapping[str, Path], scores: Mapping[str, Score], decoder: str | None = None
) -> dict[str, Figure]:
    """For each video, the largest differences from the published implementation in float32.

    A video that another `decoder` than this one decoded, if given, is wrong: FFmpeg's answers say nothing of NVDEC.
    """
    motion, camera = (np.load(REFERENCE / f"{name}_seed0.npz") for name in ("motion", "camera"))
    figures = {}
    for name in videos:
        score = scores[name]
        found = np.array(list(vars(score.motion).values()))
        probabilities = np.array([list(clip.probabilities.values()) for clip in score.camera])
        of_score = float(np.abs(found - motion[f"{name}_mp4/scores"]).max())
        expected = camera[f"{name}_mp4/probabilities"]
        of_probability = float(np.abs(probabilities - expected).max()) if probabilities.shape == expected.shape else 1.0
        text = f"scores {of_score:.4f}, probabilities {of_probability:.4f} from float32 (bound {BOUND})"
        right = max(of_score, of_probability) < BOUND
        if decoder is not None and score.decoder != decoder:
            right, text = False, f"{text}, decoded by {score.decoder} instead of {decoder}"
        figures[name] = Figure(text, right=right)
    return figures


def first_and_tenth(server: Server, video: Path) -> Figure:
    """Latency of the first and the tenth of ten requests, one in flight; slow if the first exceeds its bound."""
    with Client(server.url, timeout_seconds=600) as client:
        seconds = []
        for _ in range(10):
            started = time.perf_counter()
            client.score(video)
            seconds.append(time.perf_counter() - started)
    text = f"first request {seconds[0]:.3f} s, tenth {seconds[9]:.3f} s"
    return Figure(text, fast=seconds[0] <= FIRST_REQUEST * sorted(seconds)[5])


def videos_per_second(server: Server, videos: list[Path], in_flight: int, seconds: float) -> Figure:
    """Videos a second with `in_flight` requests in flight, measured for about `seconds`."""

    def score(path: Path) -> None:
        with Client(server.url, timeout_seconds=600) as client:
            client.score(path)

    def run(count: int) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(score, islice(cycle(videos), count)))
        return time.perf_counter() - started

    trial = run(2 * in_flight)
    count = max(2 * in_flight, round(seconds / trial * 2 * in_flight))
    return Figure(f"{count / run(count):.2f} videos/s ({in_flight} in flight, {count} videos)")
