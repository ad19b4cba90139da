"""What is asked of the server and how its answer is read, whichever way it travels."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc

from ..errors import InvalidRequest, UnreadableFile
from .result import OUTPUTS, Score, Weights, parse_score, parse_weights

MODEL = "video_motion"
WEIGHTS_MODEL = "video_sampling"
MAX_BYTES = 2**31 - 2**20  # what a gRPC message carries, less room for its other fields

Video = str | PathLike[str] | bytes
"""A path, or the bytes of a whole encoded file."""


@dataclass(frozen=True)
class Request:
    """The arguments of both tritonclients' `infer`."""

    model_name: str
    inputs: list[grpc.InferInput]
    outputs: list[grpc.InferRequestedOutput]
    parameters: dict[str, float] | None


def score_request(video: Video, parameters: dict[str, float]) -> Request:
    """Ask for the score of a video, which is read here. Raises `UnreadableFile` or `InvalidRequest`."""
    return _request(MODEL, read_video(video), OUTPUTS, parameters)


def score_answer(answer: grpc.InferResult) -> Score:
    """What the server says of the video."""
    return parse_score({name: answer.as_numpy(name) for name in OUTPUTS})


def weights_request() -> Request:
    """Ask which weights are served."""
    # The sampling model knows, and looks at no video where it is asked for nothing else.
    return _request(WEIGHTS_MODEL, np.zeros((1, 1), np.uint8), ("WEIGHTS",), {})


def weights_answer(answer: grpc.InferResult) -> Weights:
    """Which weights the server serves."""
    return parse_weights(answer.as_numpy("WEIGHTS"))


def read_video(video: Video) -> NDArray[np.uint8]:
    """(1, size) uint8 of a whole encoded file. Raises `UnreadableFile` or `InvalidRequest`."""
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


def _request(model: str, video: NDArray[np.uint8], outputs: tuple[str, ...], parameters: dict[str, float]) -> Request:
    tensor = grpc.InferInput("VIDEO", list(video.shape), "UINT8")
    tensor.set_data_from_numpy(video)
    return Request(model, [tensor], [grpc.InferRequestedOutput(name) for name in outputs], parameters or None)


def _check_size(size: int) -> None:
    if size == 0:
        raise InvalidRequest("the file is empty")
    if size > MAX_BYTES:
        raise InvalidRequest(f"the file has {size / 2**30:.1f} GiB, a request carries 2 GiB at most")
