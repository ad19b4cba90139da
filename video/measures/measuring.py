"""Measures the frames of a video on threads of their own, while the next ones are decoded."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from av.video.frame import VideoFrame

from video.cgroup import usable_cores
from video.measures.bars import Bars
from video.measures.cuts import Cuts
from video.measures.look import Look, look_at
from video.measures.measures import Measures
from video.measures.pairs import Pair, compare
from video.measures.picture import Picture
from video.measures.vectors import vector_length

MAX_THREADS = 4
"""OpenCV computes one flow on one core."""
MAX_WAITING = 8
"""Frames that are decoded and not yet measured: each is in memory at full size."""


Show = Callable[[int, Picture], None]
"""Gets each measured picture, (240, 240, 3) RGB, with its number from 0 on, in order."""


class MeasuredFrames:
    """The frames at these positions among the wanted ones, ascending; decoding may begin again from the first."""

    def __init__(self, positions: Iterable[int], show: Show | None = None) -> None:
        """`show` gets the pictures; again from number 0 on if decoding begins again."""
        self._positions = frozenset(positions)
        self._first = min(self._positions)
        self._show = show
        self._measuring = Measuring(show)

    def __contains__(self, position: int) -> bool:
        return position in self._positions

    def take(self, position: int, picture: Picture, frame: VideoFrame) -> None:
        """Measure the frame at a position: as displayed, (height, width, 3) RGB, and as decoded."""
        if position == self._first:
            self.close()
            self._measuring = Measuring(self._show)
        self._measuring.take(picture, vector_length(frame))

    def result(self) -> Measures:
        """The measures, once all frames were taken."""
        return self._measuring.result()

    def close(self) -> None:
        """End the threads; what they have not begun is not computed."""
        self._measuring.close()


class Measuring:
    """Measures frames in their order."""

    def __init__(self, show: Show | None = None) -> None:
        self._show = show
        self._threads = ThreadPoolExecutor(min(MAX_THREADS, usable_cores()))
        self._looks: deque[Future[Look]] = deque()
        self._last: Future[Look] | None = None
        self._pairs: list[Future[Pair]] = []
        self._vectors: list[float] = []
        self._brightness: list[float] = []
        self._sharpness: list[float] = []
        self._cuts, self._bars, self._black = Cuts(), Bars(), 0

    def take(self, picture: Picture, vectors: float | None) -> None:
        """Measure the next frame: (height, width, 3) RGB, and the mean length of its motion vectors, if it has any."""
        if vectors is not None:
            self._vectors.append(vectors)
        look = self._threads.submit(look_at, picture)
        self._looks.append(look)
        if self._last is not None:
            # Both frames were handed to the threads before, so that no thread waits for what no thread does.
            self._pairs.append(self._threads.submit(_compare, self._last, look))
        self._last = look
        while len(self._looks) > MAX_WAITING:
            self._add(self._looks.popleft().result())
            self._pairs[len(self._pairs) - MAX_WAITING].result()

    def result(self) -> Measures:
        """The measures of the frames so far, at least one."""
        while self._looks:
            self._add(self._looks.popleft().result())
        pairs = [pair.result() for pair in self._pairs]
        self.close()
        frames = len(self._brightness)
        differences, velocities = ([pair[index] for pair in pairs] for index in range(2))
        return Measures(
            frames=frames,
            max_rgb_diff=max(differences, default=None),
            mean_rgb_diff=_mean(differences),
            max_velocity=max(velocities, default=None),
            mean_velocity=_mean(velocities),
            motion_vectors=_mean(self._vectors),
            cuts=self._cuts.count,
            brightness=float(np.mean(self._brightness)),
            sharpness=float(np.mean(self._sharpness)),
            black_share=self._black / frames,
            frozen_share=_mean([float(pair.is_frozen) for pair in pairs]),
            letterbox=self._bars.share,
        )

    def close(self) -> None:
        """End the threads; what they have not begun is not computed."""
        self._threads.shutdown(cancel_futures=True)

    def _add(self, look: Look) -> None:
        if self._show is not None:
            self._show(len(self._brightness), look.picture)
        self._brightness.append(look.brightness)
        self._sharpness.append(look.sharpness)
        self._cuts.take(look.shot)
        if look.is_black:
            self._black += 1
        else:
            self._bars.take(look.dark_rows, look.dark_columns)


def prepare() -> None:
    """Do what OpenCV does once, such as reading the number of cores: a sandbox may forbid it later."""
    cv2.setNumThreads(1)  # frames and pairs are what is computed at once
    cv2.ocl.setUseOpenCL(False)
    measuring = Measuring()
    for picture in np.random.default_rng(0).integers(0, 256, (2, 320, 240, 3), np.uint8):
        measuring.take(picture, None)
    measuring.result()


def _compare(first: Future[Look], second: Future[Look]) -> Pair:
    one, two = first.result(), second.result()
    return compare(one.picture, two.picture, one.grey, two.grey)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
