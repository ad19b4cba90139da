"""Opening a source with PyAV."""

import math
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from .errors import SourceError, SourceStalled
from .source import STANDARD_INPUT, Kind, Source

PROBE_SECONDS = 1.5
"""How much of a stream FFmpeg reads at most before it knows what is in it; what it has read is not lost."""
DOWNLOADS = ("http://", "https://", "ftp://", "sftp://")
"""Addresses that may be of a whole file, which waits for its reader."""
_POLL_SECONDS = 0.1
_DEFAULT_PIXELS, _PACKETS_PIXELS = 5_000_000, 100_000_000


class PipeReader:
    """What PyAV reads a pipe with: `read` returns what has arrived, and nothing once the reading is to stop."""

    def __init__(self, descriptor: int, stopped: threading.Event, arrived: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._stopped = stopped
        self._arrived = arrived
        self.is_empty = True
        """Whether nothing has come yet."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end of the pipe."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self._stopped.is_set():
            if poll.poll(_POLL_SECONDS * 1000):
                content = os.read(self._descriptor, size)
                self.is_empty = self.is_empty and not content
                self._arrived()
                return content
        return b""


@contextmanager
def opened(
    source: Source, stall_seconds: float, stopped: threading.Event, arrived: Callable[[], None]
) -> Iterator[InputContainer]:
    """The source while it is open; a pipe calls `arrived` for what comes. Raises `SourceError` if it cannot be opened.

    What is raised by the caller's own calls passes through.
    """
    with ExitStack() as stack:
        container = stack.enter_context(_open(source, stall_seconds, stopped, arrived, stack))
        yield container


def _open(
    source: Source, stall_seconds: float, stopped: threading.Event, arrived: Callable[[], None], stack: ExitStack
) -> InputContainer:
    timeout = stall_seconds + PROBE_SECONDS if math.isfinite(stall_seconds) else None
    probing = {"analyzeduration": str(round(PROBE_SECONDS * 1e6))}
    reader: PipeReader | None = None
    try:
        if source.kind is Kind.FILE:
            return av.open(f"file:{source.name}", metadata_errors="replace")
        if source.kind is Kind.CAMERA:
            return av.open(source.name, format="v4l2", metadata_errors="replace")
        if source.kind is Kind.NETWORK:
            # Over UDP, which is FFmpeg's default for RTSP, packets are lost and firewalls are in the way.
            options = probing | ({"rtsp_transport": "tcp"} if source.name.lower().startswith("rtsp") else {})
            return av.open(
                source.name, container_options=options, timeout=(timeout, timeout), metadata_errors="replace"
            )
        reader = PipeReader(_descriptor(source, stack), stopped, arrived)
        return cast(InputContainer, av.open(reader, "r", container_options=probing, metadata_errors="replace"))
    except av.ExitError as error:
        raise SourceStalled(f"{source.shown} did not answer within {timeout:g} s") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        hint = ""
        if reader:
            if reader.is_empty:
                raise SourceError(f"cannot read {source.shown}: it ended before anything came") from error
            hint = "; a pipe needs a format that can be read in one pass, such as MPEG-TS or Matroska"
        raise SourceError(f"cannot read {source.shown}: {why(error)}{hint}") from error


def video_stream(container: InputContainer, source: Source) -> VideoStream:
    """The video stream that ffmpeg would choose. Raises `SourceError` if there is none that can be decoded."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise SourceError(f"{source.shown} has no video stream")
    stream = max(streams, key=_rank)
    if stream.codec_context is None:
        raise SourceError(f"{source.shown} has a video stream of a codec that is not supported")
    return stream


def is_live(source: Source, container: InputContainer, realtime: bool | None) -> bool:
    """Whether the source goes on in real time; `realtime` is what the caller says, None for what suits the source."""
    if realtime is not None:
        return realtime
    return source.kind is not Kind.FILE and not is_download(source, container)


def is_download(source: Source, container: InputContainer) -> bool:
    """Whether an address is of a whole file."""
    return source.name.lower().startswith(DOWNLOADS) and bool(container.duration)


def why(error: Exception) -> str:
    """The reason in words, without the name of the source, which may have a password in it."""
    return getattr(error, "strerror", None) or str(error)


def _descriptor(source: Source, stack: ExitStack) -> int:
    if source.name == STANDARD_INPUT:
        return sys.stdin.fileno()
    descriptor = os.open(source.name, os.O_RDONLY | os.O_NONBLOCK)
    stack.callback(os.close, descriptor)
    return descriptor


def _rank(stream: VideoStream) -> int:
    """The server's rule (video/stream_choice.py)."""
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    is_default = bool(stream.disposition & Disposition.default)
    return pixels + _DEFAULT_PIXELS * is_default + _PACKETS_PIXELS * (len(stream.index_entries) > 0)
