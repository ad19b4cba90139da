"""Watching a source: three threads read it, decode it and ask the server, and the caller iterates over the answers."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.stream import VideoStream

from .._sdk.client import Client
from ..errors import ClientError, InvalidRequest, ServerAway
from .annotated import SUFFIX, AnnotatedVideo, Verdict
from .decoding import Decoder, TimedFrame
from .errors import SourceError
from .lines import caption_lines
from .networks import Answer, Networks
from .opening import why
from .picture import Preparation
from .reader import Reader
from .sender import Asked, Sender
from .source import source_of
from .watched import Counts, WatchedClip
from .windows import TOLERANCE_SECONDS, Clip, Windows

CLIP_SECONDS = (0.1, 60.0)
"""Shortest and longest clip."""
STRIDE_SECONDS = (0.1, 3600.0)
"""Shortest and longest time from the start of a clip to that of the next."""
LATE_SECONDS, CAUGHT_UP_SECONDS = 3.0, 0.5
"""A source that does not wait: from when more than the first waits to be decoded until no more than the second does,
frames are decoded but not looked at."""
PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""Pauses before a source is opened again; the last one repeats."""
WAITING_ANSWERS = 64
"""Answers that wait for the caller; if there are more, clips are skipped, or the source waits."""
_POLL_SECONDS = 0.1


class Watch(Iterator[WatchedClip]):
    """The clips of a source, each as soon as the server has answered it.

        with Client("localhost:8001") as client, Watch(client, "rtsp://camera/stream") as clips:
            for clip in clips:
                print(clip.labels)

    Needs PyAV and Pillow. Iteration ends when the source does. It raises `SourceError` if the source cannot be read,
    `SourceStalled` if nothing comes from it, `UnwritableOutput`, and `ServerAway` if no server is reachable for the
    client's `away_seconds`. Other errors of the server are about single clips: `notify` gets a sentence for each.
    """

    def __init__(
        self,
        client: Client,
        source: str | PathLike[str],
        *,
        clip_seconds: float = 2.0,
        stride_seconds: float | None = None,
        realtime: bool | None = None,
        stall_seconds: float = 10.0,
        reconnect: bool = False,
        output: str | PathLike[str] | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Starts to watch.

        source: a file, a camera such as `/dev/video0`, an address such as `rtsp://camera/stream`, or `-` for standard
        input: a pipe of MPEG-TS, Matroska or another format that can be read in one pass.
        clip_seconds: length of a clip, 0.1 to 60; 16 of its frames are sent, evenly spread.
        stride_seconds: from the start of a clip to the start of the next, 0.1 to 3600; None: `clip_seconds`.
        realtime: True: the source does not wait for the server; if a clip is complete while one is in flight, it is
        skipped, and a file is played in real time. False: every clip is sent, and the source waits, which cameras and
        network streams cannot. None: False for files, True for all else.
        stall_seconds: how long no frame may come, except from a file.
        reconnect: open a camera or a network stream again if it ends, breaks or stalls, until the watch is stopped.
        output: an mp4 to write, with the labels drawn into the frames.
        notify: gets a sentence about what happens to the source, or if a clip fails; from the thread that iterates.

        Raises `InvalidRequest` for a value that is not allowed, and `SourceError` if there is no such source.
        """
        self._source = source_of(source)
        self._stride = clip_seconds if stride_seconds is None else stride_seconds
        _check("clip_seconds", clip_seconds, *CLIP_SECONDS)
        _check("stride_seconds", self._stride, *STRIDE_SECONDS)
        if not stall_seconds > 0:
            raise _refused(f"stall_seconds is {stall_seconds:g}, it must be above 0")
        if reconnect and not self._source.can_reopen:
            raise _refused(
                f"reconnect is for cameras and network streams, and {self._source.shown} is a {self._source.kind.value}"
            )
        if realtime is False and not self._source.waits:
            raise _refused(f"realtime cannot be off: a {self._source.kind.value} does not wait")
        if output is not None and Path(output).suffix != SUFFIX:
            raise _refused(f"output is {fspath(output)}, it must end in {SUFFIX}")
        if output is not None and _same_file(self._source.name, output):
            raise _refused("output would overwrite the source")
        self._client = client
        self._clip = clip_seconds
        self._realtime = realtime
        self._stall = stall_seconds
        self._reconnect = reconnect
        self._output = None if output is None else AnnotatedVideo(Path(output))
        self._notify = notify or (lambda _: None)
        self.counts = Counts()
        """What has happened so far."""
        self._stream = 0
        self._stopped = threading.Event()
        self._abandoned = threading.Event()
        self._error: Exception | None = None
        self._reader: Reader | None = None
        self._dropped_before = 0
        self._late = 0
        self._is_late = False
        self._finished = False
        self._results: queue.Queue[WatchedClip | str | Exception | None] = queue.Queue(WAITING_ANSWERS)
        self._thread = threading.Thread(target=self._run, name="watch-decoder", daemon=True)
        self._thread.start()

    @property
    def source(self) -> str:
        """The name of the source for messages, without a password."""
        return self._source.shown

    @property
    def unlabelled(self) -> int:
        """Frames of the output that were written before the answer for their clip came."""
        return self._output.unlabelled if self._output else 0

    def __next__(self) -> WatchedClip:
        while not self._finished:
            result = self._results.get()
            if isinstance(result, WatchedClip):
                return result
            if isinstance(result, str):
                self._notify(result)
                continue
            self._finished = True
            if result is not None:
                raise result
        raise StopIteration

    def stop(self) -> None:
        """End the watch in order: iteration goes on until the clip in flight is answered. For any thread or signal."""
        self._stopped.set()
        if reader := self._reader:
            reader.stop()

    def close(self) -> None:
        """End the watch, wait for the clip in flight, and finish the output; `with` does it for you."""
        self._abandoned.set()
        self.stop()
        self._thread.join()
        self._finished = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                if self._output:
                    stack.callback(self._output.close)
                networks = Networks(self._client)
                self._weights = networks.weights
                self._prepare = Preparation(networks.shortest_edge)
                self._sender = stack.enter_context(closing(Sender(networks, self._report)))
                self._follow()
        except Exception as error:  # also a bug's: the caller's thread raises it
            self._error = self._error or error
        self._put(self._error)

    def _follow(self) -> None:
        """Watch one connection to the source after the other."""
        connected, tries, lost_at = False, 0, 0.0
        while not self._stopped.is_set():
            reader = self._reader = Reader(self._source, realtime=self._realtime, stall_seconds=self._stall)
            try:
                if (stream := reader.stream()) is None:
                    return
                if connected:
                    self.counts.reconnections += 1
                    self._put(f"{self.source} is back after {time.monotonic() - lost_at:.1f} s")
                connected, tries = True, 0
                self._watch(reader, stream)
                sentence = f"{self.source} ended after {self.counts.seconds:.1f} s"
            except SourceError as error:
                if not (self._reconnect and connected):
                    raise
                sentence = str(error)
            finally:
                self._dropped_before += reader.packets.dropped
                self._reader = None
                reader.release()
            if self._stopped.is_set():
                return
            if not self._reconnect:
                self._put(sentence)
                return
            lost_at = lost_at if tries else time.monotonic()
            pause = PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)]
            tries += 1
            if tries < len(PAUSES_SECONDS):
                self._put(f"{sentence}; it is opened again in {pause:g} s")
            elif tries == len(PAUSES_SECONDS):  # one sentence for what may take a night
                self._put(f"{sentence}; from now on it is opened again every {pause:g} s")
            self._stopped.wait(pause)

    def _watch(self, reader: Reader, stream: VideoStream) -> None:
        decoder = Decoder(stream)
        windows = Windows(self._clip, self._stride)
        self._stream += 1
        last: TimedFrame | None = None
        watched_before, damaged_before = self.counts.seconds, self.counts.frames_damaged
        for frame in self._frames(reader, decoder):
            if self._stopped.is_set():
                return
            if frame.jumped_from_seconds is not None:
                came_from = frame.jumped_from_seconds
                self._put(f"the time jumps from {came_from:.2f} to {frame.seconds:.2f} s: a new stream begins")
                windows = Windows(self._clip, self._stride)
                self._stream += 1
                watched_before = self.counts.seconds
            for clip in self._add(reader, windows, frame):
                self._offer(reader, clip)
            last = frame
            self.counts.frames += 1
            self.counts.frames_damaged = damaged_before + decoder.damaged
            self.counts.seconds = watched_before + windows.seconds
        if last is not None and not self._stopped.is_set():
            for clip in windows.finish(last.shown_seconds, decoder.tick_seconds, reader.stated_seconds):
                self._offer(reader, clip)
            self.counts.seconds = watched_before + windows.seconds

    def _frames(self, reader: Reader, decoder: Decoder) -> Iterator[TimedFrame]:
        while read := reader.next():
            yield from decoder.decode(read)
        yield from decoder.finish()

    def _add(self, reader: Reader, windows: Windows, frame: TimedFrame) -> Iterator[Clip]:
        behind = reader.packets.behind_seconds
        self._is_late = reader.live and behind > (CAUGHT_UP_SECONDS if self._is_late else LATE_SECONDS)
        if self._is_late:
            self._late += 1
            self._count_dropped(reader)
            return windows.drop(frame.seconds)
        self._count_dropped(reader)
        try:
            picture = self._prepare(frame.frame)
        except av.FFmpegError as error:
            raise SourceError(f"a frame of {self.source} cannot be converted to RGB: {why(error)}") from error
        if self._output:
            self._output.add(self._stream, frame.seconds, frame.frame)
        return windows.add(frame.seconds, picture)

    def _count_dropped(self, reader: Reader) -> None:
        self.counts.frames_dropped = self._dropped_before + reader.packets.dropped + self._late

    def _offer(self, reader: Reader, clip: Clip) -> None:
        """Send a clip, or skip it."""
        verdict = None
        if self._output:
            until = min(clip.start_seconds + (self._clip + self._stride) / 2, clip.end_seconds) - TOLERANCE_SECONDS
            verdict = Verdict(self._stream, clip.start_seconds, until)
            self._output.expect(verdict)
        asked = Asked(clip, time.monotonic(), reader.packets.behind_seconds, verdict)
        sent = bool(len(clip.pictures)) and self._sender.offer(asked)
        while not sent and not reader.live and not self._stopped.is_set():
            self._sender.wait(_POLL_SECONDS)
            sent = not self._stopped.is_set() and self._sender.offer(asked)
        if not sent:
            self.counts.clips_skipped += 1
            if verdict:
                verdict.lines = caption_lines(None)

    def _report(self, asked: Asked, outcome: Answer | Exception, latency_seconds: float) -> None:
        """Pass on what came for a clip; in the thread of the sender."""
        start, end = round(asked.clip.start_seconds, 6), round(asked.clip.end_seconds, 6)
        if isinstance(outcome, Answer):
            self.counts.clips += 1
            watched = WatchedClip(
                start,
                end,
                outcome.probabilities,
                outcome.actions,
                self._weights,
                datetime.now(UTC),
                latency_seconds,
                asked.behind_seconds,
                self.counts.frames_dropped,
                self.counts.clips_skipped,
            )
            if asked.verdict:
                asked.verdict.lines = caption_lines(watched)
            self._put(watched)
            return
        if asked.verdict:
            asked.verdict.lines = caption_lines(None)
        if _is_about_a_clip(outcome):
            self.counts.clips_failed += 1
            self._put(f"no answer for the clip from {start:.2f} to {end:.2f} s: {outcome}")
        else:
            self._error = outcome
            self.stop()

    def _put(self, result: WatchedClip | str | Exception | None) -> None:
        """Hand something to the caller's thread, unless it wants nothing any more."""
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self._results.put(result, timeout=_POLL_SECONDS)
                return


def _is_about_a_clip(error: Exception) -> bool:
    """Whether the next clip may do better."""
    return (
        isinstance(error, ClientError)
        and type(error) is not ClientError  # the client is closed
        and not isinstance(error, ServerAway | InvalidRequest)
    )


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise _refused(f"{name} is {value:g}, it must be from {low:g} to {high:g}")


def _refused(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, reason="invalid_parameter")


def _same_file(source: str, output: str | PathLike[str]) -> bool:
    try:
        return Path(source).samefile(output)
    except (OSError, ValueError):
        return False
