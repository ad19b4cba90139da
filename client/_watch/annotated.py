"""The annotated video: the frames of the source with the labels of the clip that each belongs to."""

import os
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from .caption import Caption
from .errors import UnwritableOutput
from .opening import why
from .picture import UPRIGHT, Orientations, displayed, rgb
from .windows import TOLERANCE_SECONDS

SUFFIX = ".mp4"
MAX_WIDTH, MAX_HEIGHT = 1280, 720
"""Larger frames are made smaller, so that encoding keeps up."""
HELD_BYTES = 256 * 2**20
"""Frames wait for the labels of their clip; those that do not fit are written without."""
_TICKS = 90_000
_KEYFRAME_SECONDS = 2
_EVEN = 2


@dataclass
class Verdict:
    """What is to be drawn on the frames of a clip; where clips overlap, on those that are nearest to its middle."""

    stream: int
    """Counts the times at which the source's clock began anew."""
    start_seconds: float
    """Start of the clip; frames before it that wait get no labels."""
    until_seconds: float
    """It is about the frames before this time that no earlier verdict is about."""
    lines: tuple[str, ...] | None = None
    """What to draw; None until the answer is there. May be set by any thread."""


@dataclass(frozen=True)
class _Held:
    stream: int
    seconds: float
    frame: VideoFrame


class AnnotatedVideo:
    """Writes an mp4 that can be played while it is written, and after a crash.

    Its methods belong to one thread.
    """

    def __init__(self, path: Path) -> None:
        """The file is made with the first frame."""
        self.path = path
        self.unlabelled = 0
        """Frames that were written before the answer for their clip came."""
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        self._verdicts: deque[Verdict] = deque()
        self._container: OutputContainer | None = None
        self._reformatter = VideoReformatter()
        self._orientations = Orientations()
        self._last: tuple[int, float] | None = None
        self._gap_seconds = 1 / 25
        self._written_seconds = 0.0
        self._last_ticks = -1

    def expect(self, verdict: Verdict) -> None:
        """There is one more clip, later than those before; its frames wait for the verdict's `lines`."""
        self._verdicts.append(verdict)

    def add(self, stream: int, seconds: float, frame: VideoFrame) -> None:
        """Take the next frame, and write those whose labels are known. Raises `UnwritableOutput`."""
        small = self._small(frame)
        self._held.append(_Held(stream, seconds, small))
        self._held_bytes += _bytes(small)
        self._write_decided()
        while self._held_bytes > HELD_BYTES:
            self.unlabelled += 1
            self._write(self._held.popleft(), ())

    def close(self) -> None:
        """Write what is left, and finish the file. Raises `UnwritableOutput`."""
        try:
            self._write_decided()
            while self._held:
                self._write(self._held.popleft(), ())
            if self._container:
                self._container.mux(self._stream.encode(None))
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error
        finally:
            if container := self._container:
                self._container = None
                try:
                    container.close()
                except (av.FFmpegError, OSError) as error:
                    raise self._unwritable(error) from error

    def _write_decided(self) -> None:
        while self._held and self._verdicts:
            first, verdict = self._held[0], self._verdicts[0]
            if (first.stream, first.seconds) >= (verdict.stream, verdict.until_seconds):
                self._verdicts.popleft()
            elif first.stream < verdict.stream:  # after its last clip
                self._write(self._held.popleft(), ())
            elif verdict.lines is None:
                return
            else:
                within = first.seconds >= verdict.start_seconds - TOLERANCE_SECONDS
                self._write(self._held.popleft(), verdict.lines if within else ())

    def _write(self, held: _Held, lines: tuple[str, ...]) -> None:
        self._held_bytes -= _bytes(held.frame)
        try:
            if self._container is None:
                self._open(held.frame)
            frame = held.frame
            if (frame.width, frame.height) != (self._stream.width, self._stream.height):
                frame = self._reformatter.reformat(frame, self._stream.width, self._stream.height)
            if lines:
                frame.make_writable()
                self._caption.draw(frame, lines)
            frame.pts, frame.time_base = self._ticks(held), Fraction(1, _TICKS)
            frame.pict_type = 0  # the encoder chooses, not the source
            assert self._container is not None
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from error

    def _open(self, frame: VideoFrame) -> None:
        # Fragments can be played before the file is finished, which then turns it into an ordinary one.
        flags = {"movflags": "+hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
        self._container = av.open(f"file:{os.fspath(self.path)}", "w", format="mp4", container_options=flags)
        options = {"preset": "veryfast", "crf": "23"}
        self._stream = cast(VideoStream, self._container.add_stream("libx264", rate=30, options=options))
        self._stream.width, self._stream.height, self._stream.pix_fmt = frame.width, frame.height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.codec_context.gop_size = 30 * _KEYFRAME_SECONDS
        # With B-frames, a fragmented mp4 would begin later than the source.
        self._stream.codec_context.max_b_frames = 0
        self._caption = Caption(frame.width, frame.height)

    def _ticks(self, held: _Held) -> int:
        """The time of a frame in the file: gaps are kept, but not where the source's clock began anew."""
        if self._last is not None:
            stream, seconds = self._last
            if held.stream == stream:
                self._gap_seconds = held.seconds - seconds
            self._written_seconds += self._gap_seconds
        self._last = held.stream, held.seconds
        self._last_ticks = max(round(self._written_seconds * _TICKS), self._last_ticks + 1)
        return self._last_ticks

    def _small(self, frame: VideoFrame) -> VideoFrame:
        """The frame upright, as yuv420p, with even sides of at most `MAX_WIDTH` by `MAX_HEIGHT`."""
        orientation = self._orientations.of(frame)
        if orientation != UPRIGHT:
            frame = VideoFrame.from_ndarray(
                displayed(rgb(frame, self._reformatter), orientation).copy(), format="rgb24"
            )
        longer, shorter = max(frame.width, frame.height), min(frame.width, frame.height)
        scale = min(1.0, MAX_WIDTH / longer, MAX_HEIGHT / shorter)
        width, height = (max(_EVEN, int(side * scale) // _EVEN * _EVEN) for side in (frame.width, frame.height))
        try:
            return self._reformatter.reformat(frame, width, height, "yuv420p")
        except av.FFmpegError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> UnwritableOutput:
        return UnwritableOutput(f"cannot write {self.path}: {why(error)}")


def _bytes(frame: VideoFrame) -> int:
    return frame.width * frame.height * 3 // 2
