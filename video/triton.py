"""The Triton interface that the two models that read videos share.

Only a stub of Triton's python backend can import this module.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from video import stub_start
from video.cpu_share import CALL, CpuShares
from video.decoder import Decoder
from video.errors import Abandoned, Busy, DecoderFailed, InvalidParameter, InvalidVideo, NoRoom, Reason
from video.isolation import IsolatedDecoder
from video.limits import Limits
from video.metrics import Metrics
from video.request_log import RequestLog
from video.request_record import RequestRecord
from video.shared_clips import MARK as CLIPS
from video.shared_videos import MARK as VIDEO
from video.shared_videos import SharedVideos


class VideoModel(ABC):
    """A Triton model with a worker process of its own for untrusted files, one request at a time.

    The worker's limits are parameters of the model's configuration (`video.limits`).
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the manifest, and start the worker so that the first request does not wait for it."""
        stub_start.prepare()  # a native Triton, unlike the one from pip, has not done it
        parameters = json.loads(args["model_config"])["parameters"]
        self.parameters: dict[str, str] = {name: value["string_value"] for name, value in parameters.items()}
        path = Path(args["model_repository"]).parent / "weights.json"
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path} is missing: has `make export` been run?")
        self.manifest: dict[str, Any] = json.loads(path.read_text())
        try:
            self.decoder = IsolatedDecoder(Limits.from_configuration(self.parameters))
            self.log = RequestLog.from_environment()
            self.cpu_shares = CpuShares.from_environment()
            self.shared_videos = SharedVideos.from_environment()
        except (ValueError, OSError) as error:
            raise pb_utils.TritonModelException(str(error)) from error
        self.decoder.start()
        self.name = args["model_name"]
        self.metrics = Metrics(self.name, self.decoders())

    def decoders(self) -> Sequence[Decoder]:
        """What can decode the clips that it answers with, the last resort last; none if it answers with none."""
        return ()

    @abstractmethod
    def outputs(self, request: Any, record: RequestRecord) -> dict[str, Any]:
        """The outputs of one request that it asks for, without those that `signals` leaves out; fills in `record`.

        Each is an array, or a tensor of Triton's, which may be on a GPU.
        """

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request; an error of one does not affect the others."""
        return [self._respond(request) for request in requests]

    def finalize(self) -> None:
        """Stop the worker."""
        self.decoder.close()

    def _respond(self, request: Any) -> Any:
        record = RequestRecord(self.name, request_id(request))
        started, restarts = time.perf_counter(), self.decoder.restarts.copy()
        try:
            outputs = self.outputs(request, record)
            response = pb_utils.InferenceResponse(
                [_tensor(name, outputs[name]) for name in request.requested_output_names() if name in outputs]
            )
        except (InvalidVideo, InvalidParameter) as error:
            record.fail(error.reason, str(error))
            response = _error(str(error), error.reason, pb_utils.TritonError.INVALID_ARG)
        except DecoderFailed as error:
            record.fail(error.reason, str(error))
            response = _error(str(error), error.reason, pb_utils.TritonError.INTERNAL)
        except Abandoned as error:
            record.fail(error.reason, str(error))
            response = _error(str(error), error.reason, pb_utils.TritonError.CANCELLED)
        except (NoRoom, Busy) as error:
            record.fail(error.reason, str(error))
            response = _error(str(error), error.reason, pb_utils.TritonError.UNAVAILABLE)
        except Exception as error:
            message = f"unexpected {type(error).__name__}: {error}"
            record.fail(Reason.UNEXPECTED, message)
            response = _error(message, Reason.UNEXPECTED, pb_utils.TritonError.INTERNAL)
        record.seconds = time.perf_counter() - started
        record.restarts = self.decoder.restarts - restarts
        self.metrics.count(record)
        self.log.write(record)
        return response


def request_parameters(request: Any) -> tuple[dict[str, Any], Any]:
    """The caller's parameters, and the number of the call that the proxy added; None without the proxy."""
    parameters = json.loads(request.parameters() or "{}")
    call = parameters.pop(CALL, None)
    parameters.pop(CLIPS, None)
    parameters.pop(VIDEO, None)
    return parameters, call


def input_values(request: Any, name: str) -> NDArray[Any]:
    """The values of an input, flat."""
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)


def optional_input_values(request: Any, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """The values of an input, flat; none of this type if the request does not have it."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return np.empty(0, dtype) if tensor is None else tensor.as_numpy().reshape(-1)


def optional_input_text(request: Any, name: str) -> str | None:
    """The text in a TYPE_STRING input; None if the request does not have it, or it is empty."""
    values = optional_input_values(request, name, np.object_)
    return values[0].decode(errors="replace") if len(values) else None


def text(content: str) -> NDArray[np.object_]:
    """A TYPE_STRING tensor of one element."""
    return np.array([content.encode()], dtype=np.object_)


def _tensor(name: str, value: Any) -> Any:
    return value if isinstance(value, pb_utils.Tensor) else pb_utils.Tensor(name, value)


def request_id(request: Any) -> str:
    """The caller's id of the request; empty if it is not valid text, which HTTP allows."""
    try:
        return request.request_id()
    except UnicodeDecodeError:
        return ""


def _error(message: str, reason: Reason, code: int) -> Any:
    """Clients read the reason in brackets at the end of the sentence."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{message} [{reason}]", code))
