"""The thread that reads a source: it never waits for the server if the source does not wait for it."""

import threading
import time
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .._demuxing import demux
from .errors import SourceError, SourceStalled
from .opening import PROBE_SECONDS, is_download, is_live, opened, video_stream, why
from .packet_queue import PacketQueue, Read
from .source import Kind, Source

MAX_THREADS = 4
"""Of the decoder: each one more delays the frames by one."""
_POLL_SECONDS = 0.05


class Reader:
    """One connection to a source.

    PyAV's calls can block for as long as a device or a network does, so this thread is never waited for: it closes what
    it opened when its call returns.
    """

    def __init__(self, source: Source, *, realtime: bool | None, stall_seconds: float) -> None:
        self.packets = PacketQueue()
        """What was read."""
        self.live = False
        """Whether the source goes on in real time; known once `stream` is."""
        self._source = source
        self._realtime = realtime
        self._stall_seconds = stall_seconds
        self._can_stall = source.kind is not Kind.FILE
        self._stream: VideoStream | None = None
        self._container: InputContainer | None = None
        self._error: SourceError | None = None
        self._opened = threading.Event()
        self._stopped = threading.Event()
        self._released = threading.Event()
        self._arrived()
        self._thread = threading.Thread(target=self._run, name="watch-reader", daemon=True)
        self._thread.start()

    def stream(self) -> VideoStream | None:
        """The video stream, once the source is open; None if `stop` was called. Raises `SourceError`."""
        # FFmpeg itself ends an attempt to connect; a device can take as long as it likes.
        patience = self._stall_seconds + (PROBE_SECONDS if self._source.kind is Kind.PIPE else 4 * PROBE_SECONDS)
        while not self._opened.wait(_POLL_SECONDS):
            if self._stopped.is_set():
                return None
            if self._can_stall and time.monotonic() - self._last_arrival > patience:
                raise self._stalled()
        if self._error:
            raise self._error
        return self._stream

    def stated_seconds(self, origin_seconds: float) -> list[float]:
        """What the header of a file states as the duration: candidates, of which some may be wrong."""
        if self.live or self._container is None or self._stream is None:
            return []
        stream, total = self._stream, self._container.duration
        if stream.duration and stream.duration > 0 and stream.time_base:
            return [float(stream.duration * stream.time_base)]
        seconds = total / av.time_base if total else 0.0
        return [seconds, seconds - origin_seconds] if seconds > 0 else []

    def next(self) -> Read | None:
        """The next packet; None at the end, and if `stop` was called. Raises `SourceError`."""
        while not self._stopped.is_set():
            if read := self.packets.get(_POLL_SECONDS):
                return read
            if self.packets.has_ended:
                if self._error:
                    raise self._error
                return None
            if self._can_stall and time.monotonic() - self._last_arrival > self._stall_seconds:
                raise self._stalled()
        return None

    def stop(self) -> None:
        """Read no more; may be called from any thread."""
        self._stopped.set()
        self.packets.end()

    def release(self) -> None:
        """Read no more, and close the source; its stream and packets must not be used any more."""
        self.stop()
        self._released.set()

    def _run(self) -> None:
        try:
            with opened(self._source, self._stall_seconds, self._stopped, self._arrived) as container:
                try:
                    self._container, self._stream = container, video_stream(container, self._source)
                    self._read(container, self._stream)
                except Exception as error:
                    self._error = self._described(error)
                finally:
                    self._finish()
                    self._released.wait()  # packets and stream refer to the container
        except Exception as error:
            self._error = self._error or self._described(error)
        finally:
            self._finish()

    def _described(self, error: Exception) -> SourceError:
        if isinstance(error, SourceError):
            return error
        if isinstance(error, av.ExitError):
            return self._stalled()
        if isinstance(error, av.FFmpegError | OSError):
            return SourceError(f"{self._source.shown} broke off: {why(error)}")
        return SourceError(f"{self._source.shown} cannot be read: {type(error).__name__}: {error}")

    def _read(self, container: InputContainer, stream: VideoStream) -> None:
        self.live = self.packets.live = is_live(self._source, container, self._realtime)
        paced = self.live and (self._source.kind is Kind.FILE or is_download(self._source, container))
        self._can_stall = self._can_stall and not paced
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = MAX_THREADS
        self._arrived()
        self._opened.set()
        began: tuple[float, float] | None = None
        seconds = 0.0
        for packet in demux(container, stream):
            if self._stopped.is_set():
                return
            if not packet.size:
                continue
            time_units = packet.pts if packet.dts is None else packet.dts
            if time_units is not None:
                seconds = float(time_units * (packet.time_base or Fraction(0)))
            if paced:
                began = began or (time.monotonic(), seconds)
                self._stopped.wait(max(0.0, began[0] + seconds - began[1] - time.monotonic()))
            self._arrived()
            self.packets.put(packet, seconds)
            self._arrived()

    def _finish(self) -> None:
        self.packets.end()
        self._opened.set()

    def _arrived(self) -> None:
        self._last_arrival = time.monotonic()

    def _stalled(self) -> SourceStalled:
        return SourceStalled(f"no frame came from {self._source.shown} for {self._stall_seconds:g} s")
