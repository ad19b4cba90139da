"""Models that only holders of the server's key may call, and finding out which model a request is for.

Triton can close a whole API, but not one model. So the proxy reads the model's name off each request, and leaves the
rest of the message alone, which may have 2 GiB.
"""

import hmac
from collections.abc import Iterable, Mapping

import grpc

from server.wire import DELIMITED, fields

CLOSED_MODELS = ("video_decode", "video_decode_nvdec")
"""They trust the orders that `video_sampling` makes, and the latter also the file that the sandboxed reader writes."""
MODEL_NAME = 1
"""The number of `model_name` in the message ModelInferRequest."""


class ClosedModels:
    """The models that need a key."""

    def __init__(self, key: str, key_name: str, models: Iterable[str] = CLOSED_MODELS) -> None:
        """`key` opens `models`, as the value of the metadata `key_name`."""
        self._key = key.encode()
        self._key_name = key_name
        self._models = frozenset(models)

    def refusal(self, request: bytes, metadata: Mapping[str, str | bytes]) -> tuple[grpc.StatusCode, str] | None:
        """Why a ModelInferRequest with this metadata is refused; None if it is not."""
        try:
            model = model_name(request)
        except ValueError as error:
            return grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a valid ModelInferRequest: {error}"
        if model not in self._models or hmac.compare_digest(_bytes(metadata.get(self._key_name, b"")), self._key):
            return None
        why = f"the model {model} is closed to callers: call video_motion, or send the server's key"
        return grpc.StatusCode.PERMISSION_DENIED, why


def model_name(request: bytes) -> str:
    """The `model_name` of a serialized ModelInferRequest; empty if it has none.

    The last one counts, as in protobuf. Raises ValueError for what protobuf does not write: whatever is read here in
    another way than in Triton would open a model. Triton reads a name only as far as a zero byte.
    """
    name = b""
    for field in fields(request):
        if field.number == MODEL_NAME and field.wire_type == DELIMITED:
            name = request[field.start : field.end]
    if 0 in name:
        raise ValueError("the name of its model has a zero byte")
    return name.decode(errors="replace")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
