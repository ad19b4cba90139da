"""From what tritonclient raises to the client's exceptions, with the server's reason."""

import pytest
from tritonclient.utils import InferenceServerException

from client import errors
from client._sdk.request import MAX_REQUEST_ID, request_id
from client._sdk.triton_errors import from_triton
from client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerAway,
    ServerError,
    ServerUnavailable,
    UnreadableFile,
)
from video.errors import Reason


def translated(status: str, message: str, request: str = "") -> ClientError:
    return from_triton(InferenceServerException(message, status=f"StatusCode.{status}"), "here:1", request)


@pytest.mark.parametrize(
    ("status", "message", "kind", "sentence", "reason"),
    [
        ("INVALID_ARGUMENT", "the file is empty [empty]", InvalidRequest, "the file is empty", "empty"),
        ("INVALID_ARGUMENT", "in ensemble 'video_motion', no [no_frames]", InvalidRequest, "no", "no_frames"),
        ("INVALID_ARGUMENT", "[request id: <id_unknown>] no [damaged]\n", InvalidRequest, "no", "damaged"),
        ("INVALID_ARGUMENT", "Expected [1,-1], got [4]", InvalidRequest, "Expected [1,-1], got [4]", None),
        ("INVALID_ARGUMENT", "what [is] this", InvalidRequest, "what [is] this", None),
        ("INVALID_ARGUMENT", "two\nlines [a] [truncated]", InvalidRequest, "two\nlines [a]", "truncated"),
        ("INVALID_ARGUMENT", "no [NOT] [a b]", InvalidRequest, "no [NOT] [a b]", None),
        ("INVALID_ARGUMENT", "[empty]", InvalidRequest, "[empty]", None),
        ("INTERNAL", "it crashed [worker_died]", ServerError, "it crashed", "worker_died"),
        ("INTERNAL", "DALI: something", ServerError, "DALI: something", None),
        ("INTERNAL", "", ServerError, "the server at here:1 failed (INTERNAL)", None),
        ("UNAVAILABLE", "no shared memory for it [no_room]", ServerUnavailable, "no shared memory for it", "no_room"),
        ("UNAVAILABLE", "Exceeds maximum queue size", ServerUnavailable, "Exceeds maximum queue size", "queue_full"),
        (
            "RESOURCE_EXHAUSTED",
            "Received message larger than max (9 vs. 8)",
            InvalidRequest,
            "the file is larger than the server accepts",
            "too_large",
        ),
        ("DEADLINE_EXCEEDED", "", DeadlineExceeded, "no answer from here:1 in the time allowed", "timeout"),
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: UNKNOWN: ipv4: Connection refused\nmore",
            ServerAway,
            "no server answers at here:1 (Connection refused); is it running?",
            "unreachable",
        ),
        ("CANCELLED", "", ServerAway, "the server at here:1 ended the call: is it stopping?", "unreachable"),
        ("CANCELLED", "the caller has gone [abandoned]", ServerError, "the caller has gone", "abandoned"),
        (
            "INTERNAL",
            "Stub process 'a' is not healthy.",
            ServerAway,
            "the server at here:1 is restarting a part of itself (Stub process 'a' is not healthy.)",
            "restarting",
        ),
    ],
)
def test_an_error_has_its_kind_its_sentence_and_its_reason(
    status: str, message: str, kind: type[ClientError], sentence: str, reason: str | None
) -> None:
    error = translated(status, message)
    assert (type(error), str(error), error.reason) == (kind, sentence, reason)


@pytest.mark.parametrize("name", ["a.mp4", "a] in ensemble 'b', c [d].mp4", "a.mp4 [empty]", "(.*"])
def test_the_name_of_a_request_is_not_in_the_sentence(name: str) -> None:
    error = translated("INVALID_ARGUMENT", f"[request id: {name}] in ensemble 'x', it is wrong [damaged]", name)
    assert (str(error), error.reason) == ("it is wrong", "damaged")


def test_reasons_of_the_client_are_the_exceptions_own() -> None:
    assert UnreadableFile("").reason == "unreadable_file"
    assert ClientError("").reason is None
    assert ClientError("", reason="empty").reason == "empty"


def test_every_reason_of_the_server_is_documented() -> None:
    assert [str(reason) for reason in Reason if f"`{reason}`" not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        (b"bytes", ""),
        ("/data/videos/a clip.mp4", "a clip.mp4"),
        ("ü\n\x1b.mp4", r"\xfc\n\x1b.mp4"),
        (b"\xff.mp4".decode(errors="surrogateescape"), r"\udcff.mp4"),
        ("x" * 300, "x" * MAX_REQUEST_ID),
    ],
)
def test_a_request_has_the_name_of_its_file(video: str | bytes, expected: str) -> None:
    assert request_id(video) == expected
    assert request_id(video).isascii()
    assert len(request_id(video)) <= 128
