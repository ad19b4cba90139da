"""Which model a request is for, read off its bytes as protobuf does, and who may call a closed model."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from server.closed_models import ClosedModels, model_name
from server.errors import ServerFailed
from server.proxy import INFER
from server.settings import Settings
from server.wire import MAX_FIELDS
from tests.upstream import Upstream, proxied, upstream

__all__ = ["upstream"]

KEY = "the key"
CLOSED = ClosedModels(KEY, "video-motion-key", ["video_decode"])


def message(model: str = "video_decode", raw: int = 100) -> bytes:
    """A request with inputs, parameters and `raw` bytes of content."""
    request = service_pb2.ModelInferRequest(model_name=model, model_version="1", id="x")
    request.parameters["fps"].double_param = 4.0
    request.parameters["max_frames"].int64_param = -1
    request.inputs.add(name="VIDEO", datatype="UINT8", shape=[1, raw])
    request.raw_input_contents.append(bytes(raw))
    return request.SerializeToString()


WITHOUT_NAME = message("")
ANOTHER = b"\x0a\x05other"
AS_VARINT = b"\x08\x05"
LONG_TAG = b"\x8a\x80\x00\x0cvideo_decode"
"""The tag of `model_name`, longer than necessary, which protobuf accepts."""


@pytest.mark.parametrize(
    "request_bytes",
    [
        message(),
        WITHOUT_NAME + message()[:14],  # last
        message("other") + message()[:14],  # twice: the last one counts
        message() + AS_VARINT,  # not a string: ignored
        message() + b"\xfa\x3f\x02ab" + b"\xf9\x3f" + bytes(8) + b"\xfd\x3f" + bytes(4),  # fields that nobody knows
        WITHOUT_NAME + LONG_TAG,
        message(raw=3_000_000),
    ],
)
def test_a_closed_model_needs_the_key_wherever_its_name_stands(request_bytes: bytes) -> None:
    assert service_pb2.ModelInferRequest.FromString(request_bytes).model_name == "video_decode"
    for metadata in ({}, {"video-motion-key": "another"}, {"video-motion-key": ""}, {"video-motion-key": b"\xff"}):
        refusal = CLOSED.refusal(request_bytes, metadata)
        assert refusal is not None
        assert refusal[0] is grpc.StatusCode.PERMISSION_DENIED
        assert refusal[1] == "the model video_decode is closed to callers: call video_motion, or send the server's key"
    assert CLOSED.refusal(request_bytes, {"video-motion-key": KEY}) is None


def test_both_models_that_decode_are_closed() -> None:
    closed = ClosedModels(KEY, "video-motion-key")
    for model in ("video_decode", "video_decode_nvdec"):
        refusal = closed.refusal(message(model), {})
        assert refusal is not None
        assert refusal[1].startswith(f"the model {model} is closed to callers: ")


@pytest.mark.parametrize("model", ["video_motion", "motion_head", "video_decode_2", "", "VIDEO_DECODE"])
def test_every_other_model_is_open(model: str) -> None:
    assert CLOSED.refusal(message(model), {}) is None
    assert CLOSED.refusal(message() + message(model), {}) is None or not model


@pytest.mark.parametrize(
    ("request_bytes", "why"),
    [
        (message()[:-1], "it is truncated"),
        (b"\x0a", "it is truncated"),
        (b"\x0a\xff\xff\xff\xff\x0f", "it is truncated"),
        (b"\x0a\x80\x80\x80\x80\x80\x01", "it has a tag or a length beyond 32 bits"),
        (b"\x10" + b"\xff" * 11, "it has a number beyond 64 bits"),
        (b"\x10\xff", "it is truncated"),
        (b"\x02\x00", "it has a field with the number 0"),
        (b"\x0b\x0c", "it has a field of the wire type 3"),
        (b"\x0f", "it has a field of the wire type 7"),
        (message("video_decode\0"), "the name of its model has a zero byte"),  # Triton reads it no further
        (message("video_decode\0_2"), "the name of its model has a zero byte"),
        (message("\0"), "the name of its model has a zero byte"),
        (ANOTHER * (MAX_FIELDS + 1), f"it has more than {MAX_FIELDS} fields"),
    ],
)
def test_what_protobuf_does_not_write_is_refused(request_bytes: bytes, why: str) -> None:
    """Nor what Triton reads in another way: that would open a model."""
    assert CLOSED.refusal(request_bytes, {"video-motion-key": KEY}) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"the request is not a valid ModelInferRequest: {why}",
    )


def test_a_request_of_as_many_fields_as_allowed_is_read_to_its_end() -> None:
    assert model_name(ANOTHER * MAX_FIELDS) == "other"


@given(
    st.lists(st.sampled_from([message()[:14], ANOTHER, WITHOUT_NAME, AS_VARINT, LONG_TAG, b"\x0b\x0c"])), st.binary()
)
def test_no_bytes_have_another_name_for_protobuf(parts: list[bytes], end: bytes) -> None:
    request_bytes = b"".join(parts) + end
    try:
        expected = service_pb2.ModelInferRequest.FromString(request_bytes).model_name
    except DecodeError:
        return
    try:
        found = model_name(request_bytes)
    except ValueError:
        return  # refused
    assert found == expected


def test_the_switch_is_off_by_default_and_takes_on_and_off(tmp_path: Path) -> None:
    def opened(**environment: str) -> bool:
        return Settings.from_environment(tmp_path, environment).open_video_decode

    assert [opened(), opened(OPEN_VIDEO_DECODE=""), opened(OPEN_VIDEO_DECODE="off")] == [False] * 3
    assert opened(OPEN_VIDEO_DECODE="on")
    with pytest.raises(ServerFailed, match=r"^OPEN_VIDEO_DECODE is 'yes', it must be on or off$"):
        opened(OPEN_VIDEO_DECODE="yes")


def test_the_proxy_refuses_before_triton_or_the_queue_sees_the_call(upstream: Upstream) -> None:
    with proxied(upstream, closed=CLOSED) as (_, channel):
        infer = channel.unary_unary(INFER)
        with pytest.raises(grpc.RpcError) as raised:
            infer(message(), timeout=10)
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert upstream.calls == []
        infer(message("video_motion"), timeout=10)
        infer(message(), timeout=10, metadata=[("video-motion-key", KEY)])
        assert [request for request, _ in upstream.calls] == [message("video_motion"), message()]
