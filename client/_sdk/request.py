"""Requests to the server and its answers, for both clients."""

import os
import stat
from collections.abc import Generator
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc

from .._remote.addresses import file_name, is_remote
from .._remote.reading import read_remote
from ..errors import ClientError, InvalidRequest, ServerError, UnreadableFile
from .result import DECODED_SHARE, OUTPUTS, Score, Weights, parse_score, parse_signals, parse_weights
from .signals import Asked, NotServed, Wanted, head_output, wanted_of

MODEL = "video_motion"
SIGNALS_MODEL = "video_signals"
WEIGHTS_MODEL = "video_sampling"
MAX_BYTES = 2**31 - 2**20  # the limit of a gRPC message, less room for its other fields
MAX_REQUEST_ID = 128

_NO_SCORE = "the answer of the server is not that of this model"
_NO_SIGNALS = (
    f"the server has no model {SIGNALS_MODEL}, so no signals can be named: export its networks again with this "
    "version, or ask without signals"
)

Video = str | PathLike[str] | bytes
"""A path, a URL, or the bytes of a whole encoded file."""


# Triton's messages for a model and for an output that are not there.
_UNKNOWN_MODEL = "unknown model"
_UNKNOWN_OUTPUT = "unexpected inference output"

_UNREADABLE_ANSWER = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading an answer of another model raises."""


@dataclass(frozen=True)
class Request:
    """The arguments of `infer` of both tritonclients."""

    model_name: str
    inputs: list[grpc.InferInput]
    outputs: list[grpc.InferRequestedOutput]
    parameters: dict[str, float | str] | None
    request_id: str = ""


def score_request(video: Video, parameters: dict[str, float]) -> Request:
    """Asks for the score of a video; reads the file. Raises `UnreadableFile` or `InvalidRequest`."""
    # An older server has no such output.
    outputs = (*OUTPUTS, DECODED_SHARE) if parameters.get("allow_damaged") else OUTPUTS
    return _request(MODEL, read_video(video), outputs, dict(parameters), request_id(video))


def score_answer(answer: grpc.InferResult, video: Video) -> Score:
    """The score in an answer, with the name of the video. Raises `ServerError` if it is not a whole score."""
    try:
        outputs = {name: answer.as_numpy(name) for name in (*OUTPUTS, DECODED_SHARE)}
        score = parse_score({name: tensor for name, tensor in outputs.items() if tensor is not None})
    except _UNREADABLE_ANSWER as error:
        raise ServerError(_NO_SCORE) from error
    return replace(score, video=None if isinstance(video, bytes) else path_of(video))


def signal_requests(
    video: Video, content: NDArray[np.uint8], parameters: dict[str, float], asked: Asked, known: Weights | None
) -> Generator[Request, grpc.InferResult, Score]:
    """The requests for signals of a video, one after the other: send each answer, or throw its error.

    content: what `read_video` returned; known: what the server served before, None if it was not asked yet. It is asked
    again if what is known does not fit: an export may have added or removed networks. Returns the score.
    Raises `NotServed`, and `ServerError` if an answer is not whole.
    """
    weights = known or weights_answer((yield weights_request()))
    for last in (known is None, True):
        try:
            wanted = wanted_of(asked, weights)
            answer = yield _signals_request(video, content, parameters, wanted)
        except ClientError as error:
            if _UNKNOWN_MODEL in str(error):
                raise NotServed(_NO_SIGNALS) from error
            if last or not (isinstance(error, NotServed) or _UNKNOWN_OUTPUT in str(error)):
                raise
        else:
            return _signals_answer(answer, video, wanted)
        weights = weights_answer((yield weights_request()))
    raise AssertionError("unreachable")


def _signals_request(video: Video, content: NDArray[np.uint8], parameters: dict[str, float], wanted: Wanted) -> Request:
    outputs = (*wanted.outputs, DECODED_SHARE) if parameters.get("allow_damaged") else wanted.outputs
    named = parameters | {"signals": ",".join(wanted.needed)}
    return _request(SIGNALS_MODEL, content, outputs, named, request_id(video))


def _signals_answer(answer: grpc.InferResult, video: Video, wanted: Wanted) -> Score:
    try:
        outputs = {name: answer.as_numpy(name) for name in (*wanted.outputs, DECODED_SHARE)}
        present = {name: tensor for name, tensor in outputs.items() if tensor is not None}
        score = parse_signals(present, wanted.signals, {name: head_output(name) for name in wanted.heads})
    except _UNREADABLE_ANSWER as error:
        raise ServerError(_NO_SCORE) from error
    return replace(score, video=None if isinstance(video, bytes) else path_of(video))


def weights_request() -> Request:
    """Asks which weights are served."""
    # The sampling model knows, and does not look at the video if no other output is requested.
    return _request(WEIGHTS_MODEL, np.zeros((1, 1), np.uint8), ("WEIGHTS",), {}, "")


def weights_answer(answer: grpc.InferResult) -> Weights:
    """The weights in an answer. Raises `ServerError` if it has none."""
    try:
        return parse_weights(answer.as_numpy("WEIGHTS"))
    except _UNREADABLE_ANSWER as error:
        raise ServerError(_NO_SCORE) from error


def request_id(video: Video) -> str:
    """Names a request in the server's log: the file's name in printable ASCII, cut to 128 characters; "" for bytes."""
    if isinstance(video, bytes):
        return ""
    path = path_of(video)
    name = file_name(path) if is_remote(path) else os.path.basename(path)
    return name.encode("unicode_escape", "backslashreplace").decode("ascii")[:MAX_REQUEST_ID]


def path_of(video: Video) -> str:
    """A path as text. Raises `UnreadableFile` for what is neither a path nor bytes."""
    try:
        return os.fsdecode(video)
    except TypeError as error:
        kind = type(video).__name__
        raise UnreadableFile(f"cannot read the file: it has the type {kind}, not that of a path or bytes") from error


def read_video(video: Video) -> NDArray[np.uint8]:
    """(1, bytes) uint8 of a whole encoded file. Raises `UnreadableFile` or `InvalidRequest`."""
    if isinstance(video, bytes):
        _check_size(len(video))
        return np.frombuffer(video, np.uint8)[None]
    path = path_of(video)
    if is_remote(path):
        return read_video(read_remote(path, MAX_BYTES))
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile("cannot read the file: it is a directory or a device")
        _check_size(status.st_size)
        return np.fromfile(path, np.uint8)[None]
    except OSError as error:
        raise UnreadableFile(f"cannot read the file: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise UnreadableFile("cannot read the file: no file can have this name") from error
    except ValueError as error:
        raise UnreadableFile(f"cannot read the file: its name has an {error}") from error
    except MemoryError as error:
        raise UnreadableFile(f"cannot read the file: no memory for its {status.st_size} bytes") from error


def _request(
    model: str, video: NDArray[np.uint8], outputs: tuple[str, ...], parameters: dict[str, float | str], request_id: str
) -> Request:
    tensor = grpc.InferInput("VIDEO", list(video.shape), "UINT8")
    tensor.set_data_from_numpy(video)
    requested = [grpc.InferRequestedOutput(name) for name in outputs]
    return Request(model, [tensor], requested, parameters or None, request_id)


def _check_size(size: int) -> None:
    if size == 0:
        raise InvalidRequest("the file is empty", reason="empty")
    if size > MAX_BYTES:
        raise InvalidRequest(f"the file has {size / 2**30:.1f} GiB; a request can carry 2 GiB", reason="too_large")
