"""A connection to the server."""

import time
from itertools import chain, repeat
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client.errors import InvalidRequest, ServerAway, UnreadableFile, from_triton
from client.result import OUTPUTS, Score, Weights, parse_score, parse_weights

MODEL = "video_motion"
WEIGHTS_MODEL = "video_sampling"
FIRST_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.0)
"""Between tries while a server is away; the last for all that follow."""
MAX_BYTES = 2**31 - 2**20  # what a gRPC message carries, less room for its other fields


class Client:
    """Scores videos on a Triton server over gRPC.

        with Client("localhost:8001") as client:
            score = client.score("video.mp4")

    Methods raise the exceptions of `client.errors`.
    """

    def __init__(
        self, url: str = "localhost:8001", *, timeout_seconds: float = 600.0, away_seconds: float = 30.0
    ) -> None:
        """Connect when first asked.

        url: host and gRPC port.
        timeout_seconds: how long to wait for each answer.
        away_seconds: how long a server that has answered before may be away, or start a part of itself again.
        """
        self.url = url
        self.timeout_seconds = timeout_seconds
        self.away_seconds = away_seconds
        self._has_answered = False
        self._triton = grpc.InferenceServerClient(url)

    def score(
        self,
        video: str | PathLike[str] | bytes,
        *,
        fps: float | None = None,
        max_frames: int | None = None,
        clip_seconds: float | None = None,
        clip_stride_seconds: float | None = None,
        max_clips: int | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> Score:
        """Score a video: a path, or the bytes of a whole encoded file.

        fps: frames per second that the motion scores look at (server's default: 4).
        max_frames: the most frames that they look at (240).
        clip_seconds: length of a camera clip (2).
        clip_stride_seconds: from one camera clip's start to the next one's (`clip_seconds`).
        max_clips: the most camera clips, evenly spread where there are more (32).
        start_seconds, end_seconds: look only at frames with start <= timestamp < end.
        """
        parameters = {
            "fps": fps,
            "max_frames": max_frames,
            "clip_seconds": clip_seconds,
            "clip_stride_seconds": clip_stride_seconds,
            "max_clips": max_clips,
            "start_seconds": start_seconds,
            "end_seconds": end_seconds,
        }
        # Plain numbers: tritonclient takes none of numpy's.
        given = {
            name: int(value) if name in ("max_frames", "max_clips") and value == int(value) else float(value)
            for name, value in parameters.items()
            if value is not None
        }
        answer = self._infer(MODEL, _as_tensor(video), OUTPUTS, given)
        return parse_score({name: answer.as_numpy(name) for name in OUTPUTS})

    def weights(self) -> Weights:
        """Which weights the server serves; no video is needed."""
        # The sampling model knows, and looks at no video where it is asked for nothing else.
        answer = self._infer(WEIGHTS_MODEL, np.zeros((1, 1), np.uint8), ("WEIGHTS",), {})
        return parse_weights(answer.as_numpy("WEIGHTS"))

    def is_ready(self) -> bool:
        """Whether the server answers and has everything loaded."""
        try:
            return self._triton.is_server_ready(client_timeout=self.timeout_seconds)
        except InferenceServerException:
            return False

    def close(self) -> None:
        """Close the connection."""
        self._triton.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _infer(
        self, model: str, video: NDArray[np.uint8], outputs: tuple[str, ...], parameters: dict[str, float]
    ) -> grpc.InferResult:
        tensor = grpc.InferInput("VIDEO", list(video.shape), "UINT8")
        tensor.set_data_from_numpy(video)
        requested = [grpc.InferRequestedOutput(name) for name in outputs]
        away_since: float | None = None
        for pause in chain(FIRST_PAUSES_SECONDS, repeat(FIRST_PAUSES_SECONDS[-1])):
            try:
                result = self._triton.infer(
                    model,
                    [tensor],
                    outputs=requested,
                    parameters=parameters or None,
                    client_timeout=self.timeout_seconds,
                )
                self._has_answered = True
                break
            except InferenceServerException as error:
                failure = from_triton(error, self.url)
                away_since = away_since or time.monotonic()
                waits = isinstance(failure, ServerAway) and self._has_answered
                if not waits or time.monotonic() + pause > away_since + self.away_seconds:
                    raise failure from error
            time.sleep(pause)
        return result


def _as_tensor(video: str | PathLike[str] | bytes) -> NDArray[np.uint8]:
    """(1, size) uint8 of a whole encoded file."""
    if isinstance(video, bytes):
        _check_size(len(video))
        return np.frombuffer(video, np.uint8)[None]
    try:
        path = Path(video)
        if path.exists() and not path.is_file():
            raise UnreadableFile("cannot read the file: it is a directory or a device")
        _check_size(path.stat().st_size)
        return np.fromfile(path, np.uint8)[None]
    except OSError as error:
        raise UnreadableFile(f"cannot read the file: {error.strerror or error}") from error


def _check_size(size: int) -> None:
    if size == 0:
        raise InvalidRequest("the file is empty")
    if size > MAX_BYTES:
        raise InvalidRequest(f"the file has {size / 2**30:.1f} GiB, a request carries 2 GiB at most")
