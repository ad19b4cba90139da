"""Looks at a video: a few keyframes first, then as many frames as it takes to be sure."""

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from .._watch.errors import SourceError
from .._watch.opening import video_stream, why
from .._watch.source import Kind, Source
from .errors import FirstPassError
from .look import HEIGHT, WIDTH, Look, Looking, Picture
from .part import WHOLE, Part
from .thresholds import Thresholds

INTERVAL_SECONDS = 0.25
"""Pictures are so far apart, or further where the video has fewer frames that others refer to."""
GLANCES = 4
"""Keyframes that are looked at before anything else, evenly spread."""
LONG_SECONDS = 60.0
"""Of a longer video or part, only windows are looked at."""
WINDOWS = 15
WINDOW_SECONDS = 4.0
MOST_BEFORE_SECONDS = 30.0
"""A window must begin at a keyframe that is at most so much earlier."""
WHOLE_SHARE = 0.9
"""A video that ends earlier than at this share of its length is truncated."""
TOLERANCE_SECONDS = 1e-6
_LEAST_SLACK_SECONDS = 0.5
"""The last frames may be ones that are not decoded."""


@dataclass(frozen=True)
class _Span:
    """What to look at, in timestamps."""

    start: float
    end: float
    """Infinite if the file does not say how long it is."""

    @property
    def most_pictures(self) -> float:
        return self.seconds / INTERVAL_SECONDS + 2

    @property
    def seconds(self) -> float:
        return self.end - self.start


def look_at(
    video: str | bytes, part: Part = WHOLE, thresholds: Thresholds | None = None, *, threads: int = 1
) -> Look | None:
    """Look at a file, or at an encoded video; with `thresholds`, only until it is sure that they skip nothing.

    None if that is sure, and for a video of less than about a second. Raises `FirstPassError` if it cannot be looked
    at as far as it takes.
    """
    try:
        with _opened(video) as (container, stream):
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            # Other frames do not refer to them, so all others decode without them.
            stream.codec_context.skip_frame = "NONREF"
            span = _span(container, stream, part)
            if thresholds is not None and not _glance(container, stream, span, thresholds):
                return None
            looking = Looking()
            for picture in _pictures(container, stream, span):
                looking.take(picture)
                if thresholds is not None and not thresholds.may_skip(looking, span.most_pictures):
                    return None
            return looking.result()
    except (av.FFmpegError, SourceError, OSError, ValueError) as error:
        raise FirstPassError(f"it cannot be decoded: {why(error)}") from error


@contextmanager
def _opened(video: str | bytes) -> Iterator[tuple[InputContainer, VideoStream]]:
    source: Any = BytesIO(video) if isinstance(video, bytes) else f"file:{video}"
    # Playlists must not reach the network.
    with av.open(source, "r", metadata_errors="replace", container_options={"protocol_whitelist": "file"}) as opened:
        container = cast(InputContainer, opened)
        yield container, video_stream(container, Source("it", Kind.FILE))


def _span(container: InputContainer, stream: VideoStream, part: Part) -> _Span:
    unit = stream.time_base
    if not unit:
        raise FirstPassError("its frames have no times")
    first = float((stream.start_time or 0) * unit)
    seconds = float(stream.duration * unit) if stream.duration else (container.duration or 0) / av.time_base
    end = first + seconds if seconds > 0 else math.inf
    origin = first if part.from_first_frame else 0.0
    if part.start_seconds is not None:
        first = max(first, origin + part.start_seconds)
    if part.end_seconds is not None:
        end = min(end, origin + part.end_seconds)
    if end <= first:
        raise FirstPassError("the part has no frame")
    return _Span(first, end)


def _glance(container: InputContainer, stream: VideoStream, span: _Span, thresholds: Thresholds) -> bool:
    """Whether a look at a few keyframes leaves it open that the video is skipped."""
    if not math.isfinite(span.end):
        return True
    looking, last = Looking(), -math.inf
    for index in range(GLANCES):
        _seek(container, stream, span.start + span.seconds * (index + 0.5) / GLANCES)
        packet = next((packet for packet in container.demux(stream) if packet.size), None)
        if packet is None or packet.pts is None or not packet.is_keyframe:
            continue
        seconds = float(packet.pts * packet.time_base)
        if seconds <= last or not span.start - TOLERANCE_SECONDS <= seconds < span.end:
            continue
        last = seconds
        for frame in [*packet.decode()] or stream.codec_context.decode(None):
            looking.take(_small(frame))
            break
        if not thresholds.may_skip(looking, span.most_pictures):
            return False
    _seek(container, stream, span.start)  # it also ends that nothing more is decoded
    return True


def _pictures(container: InputContainer, stream: VideoStream, span: _Span) -> Iterator[Picture]:
    """The pictures of the span, or of windows in it if it is long. Raises `FirstPassError` if they do not reach far."""
    if span.seconds <= LONG_SECONDS or not math.isfinite(span.end):
        _seek(container, stream, span.start)
        last = yield from _window(container, stream, span.start, span.end, -math.inf)
        slack = max(_LEAST_SLACK_SECONDS, (1 - WHOLE_SHARE) * span.seconds)
        if math.isfinite(span.end) and last < span.end - slack:
            raise FirstPassError(f"it ends {span.end - last:.1f} s before its end")
        return
    last = -math.inf
    for start in np.linspace(span.start, span.end - WINDOW_SECONDS, WINDOWS).tolist():
        _seek(container, stream, start)
        last = yield from _window(container, stream, None, start, last)


def _window(
    container: InputContainer, stream: VideoStream, start: float | None, end: float, after: float
) -> Generator[Picture, None, float]:
    """Pictures from `start` to `end`; the time of the last frame is returned.

    start: None for a window of `WINDOW_SECONDS` from the first frame on that is later than `after`, and near `end`.
    """
    due, last, wanted = -math.inf, after, end
    for frame in container.decode(stream):
        if frame.time is None:
            raise FirstPassError("its frames have no times")
        seconds = float(frame.time)
        if start is None:
            if seconds < wanted - MOST_BEFORE_SECONDS:
                raise FirstPassError("its keyframes are too far apart")
            if seconds <= after:
                continue
            start, end = seconds, seconds + WINDOW_SECONDS
        if seconds < start - TOLERANCE_SECONDS:
            continue
        if seconds >= end - TOLERANCE_SECONDS:
            return last
        last = seconds
        if seconds >= due - TOLERANCE_SECONDS:
            yield _small(frame)
            steps = math.floor((seconds - start + TOLERANCE_SECONDS) / INTERVAL_SECONDS)
            due = start + (steps + 1) * INTERVAL_SECONDS
    return last


def _seek(container: InputContainer, stream: VideoStream, seconds: float) -> None:
    """To the keyframe at or before a time, or the first one."""
    assert stream.time_base is not None
    container.seek(math.floor(seconds / stream.time_base), stream=stream)


def _small(frame: VideoFrame) -> Picture:
    small = frame.reformat(WIDTH, HEIGHT, "gray", interpolation=Interpolation.AREA)
    return cast(Picture, small.to_ndarray())
