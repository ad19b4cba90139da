"""Models that only holders of the server's key may call, and finding out which model a request is for.

Triton can close a whole API, but not one model. So the proxy reads the model's name off each request, and leaves the
rest of the message alone, which may have 2 GiB.
"""

import hmac
from collections.abc import Iterable, Mapping

import grpc

CLOSED_MODELS = ("video_decode", "video_decode_nvdec")
"""They trust the orders that `video_sampling` makes, and the latter also the file that the sandboxed reader writes."""
MODEL_NAME = 1
"""The number of `model_name` in the message ModelInferRequest."""
MAX_FIELDS = 4096
"""Outermost fields of a request: each tensor and each parameter is one, or two with its content."""
MAX_VARINT_BYTES = 5
"""Of a tag or a length; both are below 2^32."""
FIXED_BYTES = {1: 8, 5: 4}
"""Bytes of a field, by the wire types that have a fixed size."""
VARINT, DELIMITED = 0, 2
"""The other wire types that proto3 uses."""


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
    another way than in Triton would open a model.
    """
    name, position = b"", 0
    for _ in range(MAX_FIELDS):
        if position == len(request):
            return name.decode(errors="replace")
        tag, position = _varint(request, position)
        field, wire_type = tag >> 3, tag & 7
        if field == 0:
            raise ValueError("it has a field with the number 0")
        if wire_type == VARINT:
            position = _after_value(request, position)
            continue
        if wire_type == DELIMITED:
            length, position = _varint(request, position)
        elif wire_type in FIXED_BYTES:
            length = FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"it has a field of the wire type {wire_type}")
        if position + length > len(request):
            raise ValueError("it is truncated")
        if field == MODEL_NAME and wire_type == DELIMITED:
            name = request[position : position + length]
        position += length
    if position == len(request):
        return name.decode(errors="replace")
    raise ValueError(f"it has more than {MAX_FIELDS} fields")


def _varint(request: bytes, position: int) -> tuple[int, int]:
    """The tag or length at `position`, and the position after it."""
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= len(request):
            raise ValueError("it is truncated")
        byte = request[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= 1 << 32:
                break
            return value, position + index + 1
    raise ValueError("it has a tag or a length beyond 32 bits")


def _after_value(request: bytes, position: int) -> int:
    """The position after the value of a varint field, which has up to ten bytes."""
    for index in range(10):
        if position + index >= len(request):
            raise ValueError("it is truncated")
        if request[position + index] < 0x80:
            return position + index + 1
    raise ValueError("it has a number beyond 64 bits")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
