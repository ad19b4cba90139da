"""The sliding buffer: the pictures of the last seconds, and the clips that they make by the camera rule.

Windows and frames are those of the server (docs/sampling.md): a test compares the two.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest
from .picture import SIZE, Picture

CLIP_FRAMES = 16
"""Frames of a clip."""
MAX_PICTURES = 4096
"""The buffer's size, 600 MB."""
TOLERANCE_SECONDS = 1e-6
"""Timestamps closer than this are equal."""
_GAPS = 1000


@dataclass(frozen=True)
class Clip:
    """What the classifiers see of a window."""

    start_seconds: float
    """Start of the window, on the source's clock."""
    end_seconds: float
    """End of the window."""
    pictures: NDArray[np.uint8]
    """(16, 224, 224, 3) RGB; (0, 224, 224, 3) if all frames of the window were dropped."""


class Windows:
    """The windows of one stream, whose frames come in ascending order."""

    def __init__(self, clip_seconds: float, stride_seconds: float) -> None:
        self._length = clip_seconds
        self._stride = stride_seconds
        self._times: list[float] = []
        self._pictures: list[Picture] = []
        self._before: Picture | None = None
        self._dropped_seconds: float | None = None
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._longest_gap = 0.0
        self._whole = 0
        self.origin_seconds: float | None = None
        """The time of the first frame, at which the first window starts."""
        self.newest_seconds: float | None = None
        """The time of the last frame, also of one that was dropped."""
        self.seconds = 0.0
        """From the first frame to the last one; after `finish`, to the last one's end."""

    def add(self, seconds: float, picture: Picture) -> Iterator[Clip]:
        """The clips that are complete because this frame came; the frame counts once all of them were taken.

        Raises `InvalidRequest` if a window has more frames than the buffer.
        """
        yield from self._advance(seconds)
        if len(self._times) == MAX_PICTURES:
            span = self._times[-1] - self._times[0]
            raise InvalidRequest(
                f"a clip of {self._length:g} s has more than {MAX_PICTURES} frames, the most that fit into the buffer; "
                f"choose clips shorter than {span:.1f} s",
                reason="invalid_parameter",
            )
        self._times.append(seconds)
        self._pictures.append(picture)

    def drop(self, seconds: float) -> Iterator[Clip]:
        """The same for a frame that was not looked at."""
        yield from self._advance(seconds)
        self._dropped_seconds = seconds

    def finish(
        self, last_frame_seconds: float, tick_seconds: float, stated_seconds: Callable[[float], Sequence[float]]
    ) -> Iterator[Clip]:
        """The clips up to the end of the stream, whose last frame is shown for so long by its packet, 0 if unknown.

        Timestamps are multiples of `tick_seconds`. `stated_seconds` gives for the time of the first frame what the
        header says about the duration.
        """
        if self.origin_seconds is None:
            return
        origin = self.origin_seconds
        duration = self.seconds = self._duration(last_frame_seconds, tick_seconds, stated_seconds(origin))
        if duration <= self._length + TOLERANCE_SECONDS:
            if not self._whole:
                yield self._clip(origin, origin + duration)
            return
        while self._whole_ends_before(origin + duration):
            yield self._next_whole()
        left_over = duration - ((self._whole - 1) * self._stride + self._length)
        if left_over >= self._length / 2 - TOLERANCE_SECONDS:
            yield self._clip(origin + duration - self._length, origin + duration)

    def _advance(self, seconds: float) -> Iterator[Clip]:
        if self.origin_seconds is None or self.newest_seconds is None:
            self.origin_seconds = seconds
        else:
            gap = seconds - self.newest_seconds
            self._gaps.append(gap)
            self._longest_gap = max(self._longest_gap, gap)
        self.newest_seconds = seconds
        self.seconds = seconds - self.origin_seconds
        while self._whole_ends_before(seconds):
            yield self._next_whole()
        self._trim(seconds)

    def _whole_ends_before(self, seconds: float) -> bool:
        assert self.origin_seconds is not None
        return self.origin_seconds + self._whole * self._stride + self._length <= seconds + TOLERANCE_SECONDS

    def _next_whole(self) -> Clip:
        assert self.origin_seconds is not None
        start = self.origin_seconds + self._whole * self._stride
        self._whole += 1
        return self._clip(start, start + self._length)

    def _clip(self, start: float, end: float) -> Clip:
        first, stop = (bisect_left(self._times, time - TOLERANCE_SECONDS) for time in (start, end))
        if first < stop:
            chosen = [self._pictures[index] for index in evenly_spread(first, stop - 1, CLIP_FRAMES)]
        else:
            dropped = self._dropped_seconds is not None and self._dropped_seconds >= start - TOLERANCE_SECONDS
            on_screen = self._pictures[first - 1] if first else self._before
            if dropped or on_screen is None:
                return Clip(start, end, np.empty((0, SIZE, SIZE, 3), np.uint8))
            chosen = [on_screen] * CLIP_FRAMES
        return Clip(start, end, np.stack(chosen))

    def _trim(self, seconds: float) -> None:
        """Forget what no window can need: neither the next whole one, nor one that is aligned to the end."""
        assert self.origin_seconds is not None
        needed = min(self.origin_seconds + self._whole * self._stride, seconds - self._length)
        unneeded = bisect_left(self._times, needed - TOLERANCE_SECONDS)
        if unneeded:
            self._before = self._pictures[unneeded - 1]
            del self._times[:unneeded], self._pictures[:unneeded]

    def _duration(self, last_frame_seconds: float, tick_seconds: float, stated: Sequence[float]) -> float:
        """From the first frame to the end of the last one, by the server's rule; the header counts if it agrees."""
        assert self.origin_seconds is not None
        assert self.newest_seconds is not None
        usual = median(self._gaps) if self._gaps else 0.0
        if not usual:
            last = last_frame_seconds
        elif last_frame_seconds < usual / 2:
            last = usual
        else:
            last = min(last_frame_seconds, self._longest_gap)
        seconds = self.newest_seconds - self.origin_seconds + last
        if tick_seconds < usual / 4 and abs(seconds - round(seconds)) <= 1.5 * tick_seconds:
            seconds = float(round(seconds))
        if stated and seconds > 0:
            nearest = min(stated, key=lambda candidate: abs(candidate - seconds))
            if abs(nearest - seconds) <= min(max(0.5, 1.5 * usual), 0.25 * seconds):
                return nearest
        return seconds


def evenly_spread(first: int, last: int, count: int) -> list[int]:
    """`linspace(first, last, count)` in float32, truncated, computed from both ends as PyTorch does."""
    step = np.float32(last - first) / np.float32(count - 1)
    positions = np.arange(count, dtype=np.float32)
    rising = np.float32(first) + step * positions
    falling = np.float32(last) - step * positions[::-1]
    chosen: list[int] = np.where(positions < count // 2, rising, falling).astype(np.int64).tolist()
    return chosen
