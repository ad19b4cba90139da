"""The frames of a video file, small, with their times."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from .._counted import counted
from .._watch.errors import SourceError
from .._watch.opening import video_stream, why
from .._watch.source import Kind, Source
from .errors import ScenesError

LONGER_SIDE = 256
"""Pixels of the longer side of frames that are made smaller."""
_USUAL_RATE = Fraction(25)
_WHOLE_SHARE = 0.9
"""A file with a smaller share of the frames that its header counts is not whole."""


@dataclass(frozen=True)
class SmallFrame:
    """A frame that is looked at."""

    pts: int
    """Its time, counted from the first frame, in units of `Footage.time_base`."""
    picture: NDArray[np.uint8]
    """(height, width, 3) uint8 BGR."""


class Footage:
    """A video file while it is open; a context manager. Raises `ScenesError`."""

    def __init__(self, path: str, *, downscale: int | None = None, frame_skip: int = 0, threads: int = 0) -> None:
        """threads: of the decoder; 0 for as many as there are cores."""
        self._downscale = downscale
        self._step = frame_skip + 1
        source = Source(path, Kind.FILE)
        try:
            self._container = av.open(f"file:{path}", metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ScenesError(f"it cannot be opened: {why(error)}") from error
        try:
            self._stream = video_stream(self._container, source)
        except SourceError as error:
            self._container.close()
            raise ScenesError("the video has no video stream that can be decoded") from error
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = threads
        self.time_base = self._stream.time_base or Fraction(1, 1000)
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE)
        """Frames per second, as the header says."""
        self.frames_seen = 0
        """Frames that were decoded."""
        self.end_pts = 0
        """Where the last of them ends, counted from the first frame."""
        self._first_pts = 0

    def __enter__(self) -> "Footage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def done_share(self) -> float:
        """How much of the video was decoded, by its header; 0 if the header says nothing."""
        length = self._stream.duration
        if length:
            return min(1.0, self.end_pts / length)
        seconds = (self._container.duration or 0) / av.time_base
        return min(1.0, float(self.end_pts * self.time_base) / seconds) if seconds > 0 else 0.0

    def frames(self) -> Iterator[SmallFrame]:
        """Every frame that is looked at, in the order in which they are shown. Raises `ScenesError`."""
        gap = max(1, round(1 / self.rate / self.time_base))
        size: tuple[int, int] | None = None
        last = -1
        try:
            for frame in self._container.decode(self._stream):
                pts = frame.pts if frame.pts is not None else self._first_pts + self.end_pts
                if size is None:
                    size = self._size(frame)
                    self._first_pts = pts
                pts -= self._first_pts
                if pts <= last:  # shown out of order: it cannot be looked at any more
                    continue
                usual = pts - last if last >= 0 else gap
                self.end_pts = pts + (frame.duration or min(usual, gap))
                last = pts
                self.frames_seen += 1
                if (self.frames_seen - 1) % self._step == 0:
                    small = frame.reformat(*size, format="bgr24", interpolation=Interpolation.AREA)
                    yield SmallFrame(pts, cast(NDArray[np.uint8], small.to_ndarray()))
        except av.FFmpegError as error:
            raise ScenesError(f"decoding stopped after {self._counted()}: {why(error)}") from error
        if not self.frames_seen:
            raise ScenesError("no frame could be decoded")
        if self.frames_seen < self._stream.frames * _WHOLE_SHARE:
            raise ScenesError(f"the file is truncated: it has {self._counted()} of {self._stream.frames:,}")

    def _counted(self) -> str:
        return counted(self.frames_seen, "frame")

    def _size(self, frame: VideoFrame) -> tuple[int, int]:
        factor = self._downscale or max(1.0, max(frame.width, frame.height) / LONGER_SIDE)
        return max(1, round(frame.width / factor)), max(1, round(frame.height / factor))
