"""A process of its own for reading strangers' files, which may crash or hang without hurting who asked.

The file goes there, and the clips come back, through sealed anonymous memory: nothing is copied through the socket,
nothing has a name, and the worker cannot shrink what this side has mapped.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from video.clips import CLIP_FRAMES, FRAME_BYTES, FRAME_SIZE
from video.errors import DecoderFailed, InvalidParameter, InvalidVideo, Reason, VideoError
from video.limits import Limits
from video.malloc_trim import OWN_PAGES
from video.parameters import MAX_SEGMENTS, Parameters
from video.plan import checked

MESSAGE_BYTES = 1 << 20
"""Room for the largest message, in bytes; a request names a thousand frames at most."""
TAKEN = b"taken"
"""What a worker says when it has taken a request, before it looks at it."""
FAILURES: dict[str, type[VideoError]] = {
    failure.__name__: failure for failure in (InvalidVideo, InvalidParameter, DecoderFailed)
}
"""What a worker may say of a request."""
MAX_COUNT = 1 << 32
MAX_SENTENCE = 1000
"""Characters of what a worker may say of a failure."""
ROOT = str(Path(__file__).parent.parent)
RUN_WORKER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from video.worker import main; main()"
"""-I keeps the environment and the working directory out of the worker, and this folder has to be named."""
T = TypeVar("T")
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class End(StrEnum):
    """What ended a worker."""

    TIMED_OUT = "timed_out"
    """It took too long and was killed, by us or, having used up its CPU time, by the kernel."""
    KILLED = "killed"
    """By somebody else's SIGKILL: the kernel's, where memory ran out, most of the time."""
    CRASHED = "crashed"
    """By another signal, such as SIGSEGV."""
    EXITED = "exited"
    """By itself."""
    MISBEHAVED = "misbehaved"
    """It could not be talked to, or said what no worker says, and was killed."""


class IsolatedDecoder:
    """One worker process, started when it is first needed and again after it died or was stopped for taking too long.

    Not safe for use from several threads at once.
    """

    def __init__(self, limits: Limits) -> None:
        """`limits`: what one request may take."""
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._end: End | None = None
        self.frames_decoded = 0
        """Frames that its workers have decoded."""
        self.restarts: Counter[End] = Counter()
        """How often a worker was started in the place of another one, by what had ended that."""

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
            # A server's own libraries are not for its workers.
            left_out = {"LD_LIBRARY_PATH", *OWN_PAGES}  # a frame is large, and the next one needs as much
            environment = {name: value for name, value in os.environ.items() if name not in left_out}
            environment["MALLOC_ARENA_MAX"] = "4"  # an arena a thread would use up the worker's address space
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
        """Stop the worker if there is one; `why`, where it is not its own doing."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            status = self._process.wait()
            self._end = why or _end(status)
            self._process = None

    def plan(self, video: memoryview, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Which frames of an encoded `video` are wanted: the lists of `video.worker.plan`.

        Raises `InvalidVideo`, `InvalidParameter` or `DecoderFailed`.
        """
        # Checked on this side, so that nothing of a request but numbers reaches the worker.
        numbers = asdict(Parameters.from_request(parameters))
        self._check_bytes(video)
        with _memory("video", video) as file:
            return self._ask("plan", {"parameters": numbers}, [file], lambda said: checked(said, self.limits))

    def decode(
        self,
        video: memoryview,
        frame_indices: NDArray[np.integer],
        motion_order: NDArray[np.integer],
        camera_order: NDArray[np.integer],
        shortest_edge: int,
        rotation_degrees: int = 0,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The clips of an encoded `video`: motion (segments, 16, 224, 224, 3) and camera (clips, 16, 224, 224, 3).

        Frames are turned clockwise by `rotation_degrees`: 0, 90, 180 or 270.
        Raises `InvalidVideo`, `InvalidParameter` or `DecoderFailed`.
        """
        for order in (motion_order, camera_order):
            _check_order(order, len(frame_indices))
        if rotation_degrees not in (0, 90, 180, 270):
            raise InvalidParameter(f"frames are turned by 0, 90, 180 or 270 degrees, not by {rotation_degrees}")
        self._check_bytes(video)
        frames = len(motion_order) + len(camera_order)
        arguments = {
            "frame_indices": frame_indices.tolist(),
            "motion_order": motion_order.tolist(),
            "camera_order": camera_order.tolist(),
            "rotation_degrees": rotation_degrees,
            "shortest_edge": shortest_edge,
        }
        with _memory("video", video) as file, _memory("clips", size=frames * FRAME_BYTES) as out:
            self._ask("decode", arguments, [file, out], lambda said: said)
            clips = np.frombuffer(mmap.mmap(out, 0), np.uint8).reshape(-1, CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3)
        segments = len(motion_order) // CLIP_FRAMES
        return clips[:segments], clips[segments:]

    def _check_bytes(self, video: memoryview) -> None:
        if video.nbytes > self.limits.max_bytes:
            allowed = f"files of up to {self.limits.max_bytes} are read"
            raise InvalidVideo(f"the file has {video.nbytes} bytes; {allowed}", Reason.TOO_LARGE)

    def _ask(self, operation: str, arguments: dict[str, Any], descriptors: list[int], check: Callable[[Any], T]) -> T:
        """What `check` makes of the worker's result; one that it raises for is no worker's of ours."""
        message = json.dumps({"operation": operation, "arguments": arguments}).encode()
        try:
            answer = b""
            # A worker that dies before it has taken a request costs nothing: the next one takes it.
            if self._hand_over(message, descriptors) or self._hand_over(message, descriptors):
                answer = self._receive()
        except TimeoutError:
            self._stop(End.TIMED_OUT)
            took = f"reading the video took longer than {self.limits.timeout_seconds:g} s"
            raise DecoderFailed(took, Reason.TIMED_OUT) from None
        except OSError as error:
            self._stop(End.MISBEHAVED)
            raise DecoderFailed(f"the video cannot be handed to its reader: {error.strerror}") from error
        if not answer:
            raise DecoderFailed(f"the decoder process {self._cause_of_death()}", Reason.WORKER_DIED)
        try:
            content = json.loads(answer)
            self.frames_decoded += _frames_decoded(content)
            if "result" in content:
                return check(content["result"])
            failure, sentence = FAILURES[content["error"]], str(content["message"])[:MAX_SENTENCE]
            reason = Reason(content["reason"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self._stop(End.MISBEHAVED)  # it says what no worker of ours says
            raise DecoderFailed("the decoder process returned an invalid response") from None
        raise failure(sentence, reason)

    def _hand_over(self, message: bytes, descriptors: list[int]) -> bool:
        """Whether a worker has taken the request."""
        self.start()
        assert self._channel is not None
        self._channel.settimeout(self.limits.timeout_seconds)
        self._allow_cpu_seconds(self.limits.timeout_seconds * len(os.sched_getaffinity(0)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._channel, [message], descriptors)
            if self._receive() == TAKEN:
                return True
        self._stop()
        return False

    def _allow_cpu_seconds(self, seconds: float) -> None:
        """End the worker by SIGXCPU should it compute longer than that from now on, whatever happens to this side."""
        assert self._process is not None
        with contextlib.suppress(OSError):  # it is gone, which the next step notices
            # The clock of another process's CPU time, as clock_getcpuclockid(3) numbers it.
            used = time.clock_gettime(~self._process.pid << 3 | 2)
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_CPU)
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (math.ceil(used + seconds) + 1, hard))

    def _receive(self) -> bytes:
        """The next message of the worker; nothing where it is gone."""
        assert self._channel is not None
        try:
            return self._channel.recv(MESSAGE_BYTES)
        except ConnectionResetError:
            return b""

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
        return f"ended with status {status}"


def _end(status: int) -> End:
    """What a worker's exit status says of its end."""
    if status >= 0:
        return End.EXITED
    return {signal.SIGKILL: End.KILLED, signal.SIGXCPU: End.TIMED_OUT}.get(signal.Signals(-status), End.CRASHED)


def _frames_decoded(said: Any) -> int:
    """How many frames a worker says that it decoded."""
    count = said["frames_decoded"]
    if type(count) is not int or not 0 <= count < MAX_COUNT:
        raise ValueError(f"no number of frames: {count!r:.40}")
    return count


def _check_order(order: NDArray[np.integer], frames: int) -> None:
    """`InvalidParameter` for places that `video_sampling` would not ask for: a client may call the decoder itself."""
    if len(order) % CLIP_FRAMES or len(order) > MAX_SEGMENTS * CLIP_FRAMES:
        raise InvalidParameter(f"an order has {len(order)} places, it must be a multiple of 16 of at most 512")
    if len(order) and not (order.min() >= 0 and order.max() < frames):
        raise InvalidParameter(f"an order has places outside the {frames} frames to decode")


@contextlib.contextmanager
def _memory(name: str, content: memoryview | None = None, size: int = 0) -> Iterator[int]:
    """The descriptor of anonymous memory that holds `content`, or `size` zeros, and can be neither shrunk nor grown."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if content is None:
            os.ftruncate(descriptor, size)
        else:
            rest = content
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        yield descriptor
    finally:
        os.close(descriptor)
