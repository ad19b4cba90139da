"""A worker process that reads untrusted files: it may crash or hang without harm to its parent.

The file goes to the worker as an open descriptor, and the clips come back in sealed anonymous memory: no pixels pass
through the socket, the worker learns no name in a file system, and it cannot shrink memory that the parent has mapped.
"""

import contextlib
import fcntl
import json
import math
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from video.clips import CLIP_FRAMES, FRAME_BYTES, FRAME_SIZE
from video.cpu_share import ABANDONED, whole
from video.errors import Abandoned, Busy, DecoderFailed, InvalidParameter, InvalidVideo, Reason, VideoError
from video.frame_form import FrameForm
from video.limits import Limits
from video.malloc_trim import OWN_PAGES
from video.measures.measures import Measures
from video.nvdec_capabilities import Capabilities
from video.orders import NO_FRAMES, check_orders, check_stripped
from video.parameters import Parameters
from video.picture_parts import PART_BYTES, PicturesIn, Use
from video.plan import checked, max_stripped_bytes
from video.shared_videos import Encoded, VideoFile
from video.signals import OF_VIDEO_MOTION, Signal
from video.strip import Strip

MESSAGE_BYTES = 1 << 20
"""Size of the largest message; a request names some thousand frames at most."""
TAKEN = b"taken"
"""A worker's acknowledgement of a request, before it processes it."""
FAILURES: dict[str, type[VideoError]] = {
    failure.__name__: failure for failure in (InvalidVideo, InvalidParameter, DecoderFailed)
}
"""The errors that a worker may return."""
MAX_COUNT = 1 << 32
LOOK_SECONDS = 0.25
"""How often a worker's CPU time is compared with its limit."""
ABANDONED_CPU_SECONDS = 1.0
"""A video whose caller has gone is read to its end if that takes less CPU time, because a new worker costs as much."""
YIELDING_SHARE = 0.2
"""Of the CPU time that a video may take while other callers are served: beyond it, its worker yields to others."""
YIELDING_NICENESS = 5
"""Added to its niceness. It gets a third of the CPU time of a process that competes with it, and so ends in time."""
MAX_SENTENCE = 1000
"""Maximum length of a worker's error message."""
ROOT = str(Path(__file__).parent.parent)
RUN_WORKER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from video.worker import main; main()"
"""-I keeps PYTHONPATH and the working directory out of the worker, so it is told where the project is."""
T = TypeVar("T")
SIZE_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
SEALS = SIZE_SEALS | fcntl.F_SEAL_SEAL
CONTENT_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def nothing() -> None:
    """Do nothing."""


class End(StrEnum):
    """What ended a worker."""

    TIMED_OUT = "timed_out"
    """It took too long and was killed: by its parent, or by the kernel because it used up its CPU time."""
    KILLED = "killed"
    """SIGKILL from elsewhere, usually from the kernel because memory ran out."""
    CRASHED = "crashed"
    """Another signal, such as SIGSEGV."""
    EXITED = "exited"
    """It exited."""
    ABANDONED = "abandoned"
    """It was killed because its caller had gone, or because nobody could use its pictures."""
    MISBEHAVED = "misbehaved"
    """It could not be reached, or returned an invalid response, and was killed."""


class Clips(NamedTuple):
    """What is decoded of a video, RGB uint8."""

    motion: NDArray[np.uint8]
    """(clips, 16, 224, 224, 3)"""
    camera: NDArray[np.uint8]
    """(clips, 16, 224, 224, 3)"""
    frames: NDArray[np.uint8]
    """(frames, height, width, 3), for the image encoder."""
    measures: Measures | None = None
    """The measures; None if no frames were to be measured."""


class IsolatedDecoder:
    """A worker process, started when it is needed, and again after it died or was killed.

    Not thread-safe.
    """

    def __init__(self, limits: Limits) -> None:
        """`limits`: what one video may take."""
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._end: End | None = None
        self._share: Callable[[], float] = whole
        self._cpu_limit: Callable[[], float] = lambda: limits.max_cpu_seconds
        """CPU time, in seconds, that the request may take; it changes with the load."""
        self._cpu_before = 0.0
        """CPU time that the worker had taken before the request."""
        self._deadline = 0.0
        """When, by the monotonic clock, the worker must have answered."""
        self._yields = False
        """Whether the worker has a lower priority, which it cannot leave again."""
        self.frames_decoded = 0
        """Frames that its workers have decoded."""
        self.restarts: Counter[End] = Counter()
        """How often a worker replaced another one, by what had ended that one."""

    def start(self) -> None:
        """Start the worker if there is none."""
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()
        if self._end is not None:
            self.restarts[self._end] += 1
            self._end = None
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Workers must not load tritonserver's libraries.
            left_out = {"LD_LIBRARY_PATH", *OWN_PAGES}  # a worker reuses the memory of a frame for the next one
            environment = {name: value for name, value in os.environ.items() if name not in left_out}
            environment["MALLOC_ARENA_MAX"] = "4"  # one arena per thread would use up the worker's address space
            self._yields = False
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", RUN_WORKER, ROOT, str(theirs.fileno()), json.dumps(asdict(self.limits))],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )

    def close(self) -> None:
        """Stop the worker."""
        self._stop()
        self._end = None

    def _stop(self, why: End | None = None) -> None:
        """Kill the worker, if any; the cause is `why`, or else follows from its exit status."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            status = self._process.wait()
            self._end = why or _end(status)
            self._process = None

    def plan(
        self,
        video: Encoded,
        parameters: Mapping[str, object],
        share: Callable[[], float] = whole,
        *,
        strip: Strip = Strip.WHERE_SAFE,
        nvdec: Capabilities | None = None,
        served: Collection[Signal] = OF_VIDEO_MOTION,
        when_copied: Callable[[], None] = nothing,
    ) -> dict[str, Any]:
        """Choose frames of an encoded `video`: returns what `video.worker.plan` does, and `stripped_video`.

        `parameters` are those of the request, which may ask for the signals that are `served`; `share` returns its
        share of the CPU time, from 0 to 1, or `ABANDONED`, whenever it is called. `when_copied` is called once `video`
        is not read any more. `stripped_video` is (bytes,) uint8, read-only: a file with the wanted frames, which are
        `stripped_indices` in it, in order of display; both are empty if `strip` says so, or nothing can be stripped for
        certain. With `nvdec`, `WHERE_SAFE` is for what NVDEC reads; others are stripped where it pays. Raises
        `InvalidVideo`, `InvalidParameter`, `DecoderFailed`, `Busy` or `Abandoned`.
        """
        # Checked here, so that only numbers of a request reach the worker.
        numbers = asdict(Parameters.from_request(parameters, served))
        self._check_bytes(video)
        self._serve(video, share)
        # Memory is taken as far as it is written to.
        room = max_stripped_bytes(video.nbytes)
        with _handed_over("video", video) as file, _memory("stripped", size=room, seals=SIZE_SEALS) as stripped:
            when_copied()

            def check(said: object) -> dict[str, Any]:
                plan = checked(said, self.limits, video.nbytes)
                return plan | {"stripped_video": _sealed(stripped, plan["stripped_bytes"])}

            arguments = {"parameters": numbers, "strip": strip, "nvdec": None if nvdec is None else nvdec.lists()}
            return self._ask("plan", arguments, [file, stripped], check)

    def decode(
        self,
        video: Encoded,
        frame_indices: NDArray[np.integer],
        motion_order: NDArray[np.integer],
        camera_order: NDArray[np.integer],
        shortest_edge: int,
        share: Callable[[], float] = whole,
        *,
        allow_damaged: bool = False,
        stripped_video: Encoded | NDArray[np.uint8] | None = None,
        stripped_indices: NDArray[np.integer] | None = None,
        frame_order: NDArray[np.integer] = NO_FRAMES,
        frame_form: FrameForm | None = None,
        metric_order: NDArray[np.integer] = NO_FRAMES,
        on_pictures: Use | None = None,
        when_copied: Callable[[], None] = nothing,
    ) -> Clips:
        """The clips of an encoded `video`, and the frames at `frame_order` in the form of the image encoder.

        The frames at `metric_order`, ascending, are measured. `on_pictures` gets their pictures, a part at a time
        (`video.picture_parts`), while the worker waits. What it raises is passed on, and ends the worker.

        The arguments are those of `video.decoding.decode`; `share` and `when_copied` are as in `plan`. With
        `stripped_video` and `stripped_indices`, those of a plan, the wanted frames are decoded from there if they are
        all found; empty ones are as none. Raises `InvalidVideo`, `InvalidParameter`, `DecoderFailed`, `Busy` or
        `Abandoned`.
        """
        check_orders(frame_indices, motion_order, camera_order, frame_order, metric_order)
        if len(frame_order) and frame_form is None:
            raise InvalidParameter("there is no image encoder to prepare frames for")
        self._check_bytes(video)
        self._serve(video, share)
        clip_bytes = (len(motion_order) + len(camera_order)) * FRAME_BYTES
        frame_bytes = len(frame_order) * frame_form.frame_bytes if frame_form else 0
        arguments = {
            "frame_indices": frame_indices.tolist(),
            "motion_order": motion_order.tolist(),
            "camera_order": camera_order.tolist(),
            "frame_order": frame_order.tolist(),
            "metric_order": metric_order.tolist(),
            "shortest_edge": shortest_edge,
            "frame_form": frame_form.as_dict() if frame_form else None,
            "allow_damaged": allow_damaged,
            "stripped_indices": [],
            "pictures": on_pictures is not None and bool(len(metric_order)),
        }
        picture_bytes = PART_BYTES if arguments["pictures"] else 0
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_handed_over("video", video))
            when_copied()
            # Nothing can be mapped of no bytes, which measures alone need.
            out = stack.enter_context(_memory("clips", size=max(clip_bytes + frame_bytes + picture_bytes, 1)))
            pictures = None
            if on_pictures is not None and picture_bytes:
                pictures = PicturesIn(np.frombuffer(mmap.mmap(out, 0), np.uint8), len(metric_order), on_pictures)
            descriptors = [file, out]
            if stripped_video is not None and stripped_indices is not None and len(stripped_indices):
                check_stripped(frame_indices, stripped_indices)
                given = (
                    stripped_video if isinstance(stripped_video, VideoFile) else memoryview(cast(Any, stripped_video))
                )
                self._check_bytes(given)
                descriptors.append(stack.enter_context(_handed_over("stripped", given)))
                arguments["stripped_indices"] = stripped_indices.tolist()

            def check(said: dict[str, Any]) -> Measures | None:
                measures = None if said["measures"] is None else Measures.checked(said["measures"])
                if (measures is None) != (not len(metric_order)):
                    raise ValueError("measures of no frames, or none of some")
                if pictures is not None:
                    pictures.check_complete()
                return measures

            measures = self._ask("decode", arguments, descriptors, check, pictures)
            memory = np.frombuffer(mmap.mmap(out, 0), np.uint8)
        clips = memory[:clip_bytes].reshape(-1, CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3)
        size = (frame_form.height, frame_form.width) if frame_form else (0, 0)
        frames = memory[clip_bytes : clip_bytes + frame_bytes].reshape(len(frame_order), *size, 3)
        segments = len(motion_order) // CLIP_FRAMES
        return Clips(clips[:segments], clips[segments:], frames, measures)

    def _serve(self, video: Encoded, share: Callable[[], float]) -> None:
        """Prepare for a request; raises `Abandoned` if its caller has gone already."""
        self._share = share
        self._cpu_limit = lambda: self.limits.cpu_seconds(video.nbytes, share())
        self._check_caller()

    def _check_caller(self) -> None:
        if self._share() == ABANDONED:
            raise Abandoned("the caller has gone")

    def _check_bytes(self, video: Encoded) -> None:
        if video.nbytes > self.limits.max_bytes:
            allowed = f"the maximum is {self.limits.max_bytes}"
            raise InvalidVideo(f"the file has {video.nbytes} bytes; {allowed}", Reason.TOO_LARGE)

    def _ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        descriptors: list[int],
        check: Callable[[Any], T],
        pictures: PicturesIn | None = None,
    ) -> T:
        """The worker's result, validated by `check`; if that raises, the worker is compromised and is killed.

        `pictures` takes what it says before. What that raises is passed on.
        """
        message = json.dumps({"operation": operation, "arguments": arguments}).encode()
        try:
            answer = b""
            # If a worker dies before it acknowledges the request, the next one gets it.
            if self._hand_over(message, descriptors) or self._hand_over(message, descriptors):
                self._deadline = time.monotonic() + self.limits.timeout_seconds
                answer = self._receive()
                while pictures is not None and self._take(pictures, answer):
                    answer = self._receive()
        except _OverCpuLimit as over:
            self._stop(End.TIMED_OUT)
            raise Busy(
                f"reading the video took more than {over.seconds:.1f} s of CPU time, its share while other callers are "
                "served (see BUSY_CPU_SECONDS): retry later"
            ) from None
        except TimeoutError:
            self._stop(End.TIMED_OUT)
            took = f"reading the video took longer than {self.limits.timeout_seconds:g} s"
            raise DecoderFailed(took, Reason.TIMED_OUT) from None
        except OSError as error:
            self._stop(End.MISBEHAVED)
            raise DecoderFailed(f"the video cannot be sent to the decoder process: {error.strerror}") from error
        if not answer:
            raise DecoderFailed(f"the decoder process {self._cause_of_death()}", Reason.WORKER_DIED)
        try:
            content = json.loads(answer)
            self.frames_decoded += _frames_decoded(content)
            if "result" in content:
                self._check_caller()  # or the networks would compute for nobody
                return check(content["result"])
            failure, sentence = FAILURES[content["error"]], str(content["message"])[:MAX_SENTENCE]
            reason = Reason(content["reason"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self._stop(End.MISBEHAVED)
            raise DecoderFailed("the decoder process returned an invalid response") from None
        finally:
            if self._yields and self._process is not None:
                self._replace()
        raise failure(sentence, reason)

    def _take(self, pictures: PicturesIn, message: bytes) -> bool:
        """Whether the worker's message is about pictures, which were then taken and acknowledged."""
        assert self._channel is not None
        started = time.monotonic()
        try:
            if not pictures.take(message):
                return False
        except (ValueError, TypeError, RecursionError):
            self._stop(End.MISBEHAVED)
            raise DecoderFailed("the decoder process returned an invalid response") from None
        except BaseException:
            self._stop(End.ABANDONED)  # it waits, and nothing it could still say is of use
            raise
        self._deadline += time.monotonic() - started  # in which the worker waits
        self._channel.sendall(TAKEN)
        return True

    def _replace(self) -> None:
        """Start another worker, with the usual priority, for the next request."""
        self.close()
        self.start()

    def _hand_over(self, message: bytes, descriptors: list[int]) -> bool:
        """Send a request to a worker; whether it acknowledged it."""
        self.start()
        assert self._channel is not None
        self._deadline = time.monotonic() + self.limits.timeout_seconds
        self._channel.settimeout(self.limits.timeout_seconds)
        self._cpu_before = self._cpu_seconds()
        self._allow_cpu_seconds(self.limits.max_cpu_seconds)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._channel, [message], descriptors)
            if self._receive() == TAKEN:
                return True
        self._stop()
        return False

    def _allow_cpu_seconds(self, seconds: float) -> None:
        """Let the kernel kill the worker (SIGXCPU) after so much more CPU time, even if this process hangs."""
        assert self._process is not None
        with contextlib.suppress(OSError):  # it has ended, which the next step notices
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_CPU)
            most = math.ceil(self._cpu_before + seconds) + 1
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (most, hard))

    def _cpu_seconds(self) -> float:
        """CPU time that the worker has taken; 0 if it has ended."""
        assert self._process is not None
        try:
            # The clock of another process's CPU time, as clock_getcpuclockid(3) numbers it.
            return time.clock_gettime(~self._process.pid << 3 | 2)
        except OSError:
            return 0.0

    def _receive(self) -> bytes:
        """The worker's next message; empty if it has ended.

        Raises TimeoutError at the deadline, `_OverCpuLimit` after more CPU time than the request may take now.
        """
        assert self._channel is not None
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._channel.settimeout(min(left, LOOK_SECONDS))
            try:
                return self._channel.recv(MESSAGE_BYTES)
            except ConnectionResetError:
                return b""
            except TimeoutError:
                used = self._cpu_seconds() - self._cpu_before
                if self._share() == ABANDONED:
                    if used <= ABANDONED_CPU_SECONDS:
                        continue  # the worker may end soon, and then needs no restart
                    self._stop(End.ABANDONED)
                    raise Abandoned("the caller has gone") from None
                limit = self._cpu_limit()
                if limit < self.limits.max_cpu_seconds:
                    if used > limit:
                        raise _OverCpuLimit(limit) from None
                    if used > YIELDING_SHARE * limit and not self._yields:
                        self._yield()

    def _yield(self) -> None:
        """Give the worker, with all its threads, a lower priority."""
        assert self._process is not None
        with contextlib.suppress(OSError):  # it or a thread has ended
            for thread in map(int, os.listdir(f"/proc/{self._process.pid}/task")):
                niceness = os.getpriority(os.PRIO_PROCESS, thread) + YIELDING_NICENESS
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
        self._yields = True

    def _cause_of_death(self) -> str:
        if self._process is None:
            return "could not be started"
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self._stop()
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"exited with status {status}"


class _OverCpuLimit(Exception):
    """A worker took more CPU time than its request may take at the moment."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def _end(status: int) -> End:
    """What ended a worker, from its exit status."""
    if status >= 0:
        return End.EXITED
    return {signal.SIGKILL: End.KILLED, signal.SIGXCPU: End.TIMED_OUT}.get(signal.Signals(-status), End.CRASHED)


def _frames_decoded(said: Any) -> int:
    """The number of decoded frames in a worker's response; ValueError if it is not a plausible count."""
    count = said["frames_decoded"]
    if type(count) is not int or not 0 <= count < MAX_COUNT:
        raise ValueError(f"no number of frames: {count!r:.40}")
    return count


def _sealed(descriptor: int, count: int) -> NDArray[np.uint8]:
    """(count,) uint8, read-only: the first bytes of memory that nothing can change any more.

    Raises ValueError if the worker keeps it from being sealed.
    """
    if not count:
        return np.empty(0, np.uint8)
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, CONTENT_SEALS)
    except OSError as error:  # it still has a mapping, or has sealed the seals
        raise ValueError("the stripped file cannot be sealed") from error
    return np.frombuffer(mmap.mmap(descriptor, count, prot=mmap.PROT_READ), np.uint8)


@contextlib.contextmanager
def _handed_over(name: str, video: Encoded) -> Iterator[int]:
    """A descriptor of an encoded file for the worker: an open one itself, or else of a copy of it."""
    if isinstance(video, VideoFile):
        yield video.descriptor
        return
    with _memory(name, video) as descriptor:
        yield descriptor


@contextlib.contextmanager
def _memory(name: str, content: memoryview | None = None, size: int = 0, *, seals: int = SEALS) -> Iterator[int]:
    """A descriptor of anonymous memory with `content`, or `size` zeros, sealed against shrinking and growing."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if content is None:
            os.ftruncate(descriptor, size)
        else:
            rest = content
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        yield descriptor
    finally:
        os.close(descriptor)
