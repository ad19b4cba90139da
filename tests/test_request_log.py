"""One line of JSON per request, which no untrusted text can break."""

import json
import os
import time
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from fixtures.synthetic import encode
from server import Server
from video.decoder import Decoder
from video.errors import Reason
from video.request_log import Logged, RequestLog, line
from video.request_record import RequestRecord

GOOD = encode(60)
HOSTILE = 'a"\n{"event": "forged"}\r\x1b[2J\x00\u202e\x9b'


def infer(server: Server, video: bytes, request_id: str, **parameters: object) -> None:
    tensor = grpc.InferInput("VIDEO", [1, len(video)], "UINT8")
    tensor.set_data_from_numpy(np.frombuffer(video, np.uint8)[None])
    with grpc.InferenceServerClient(server.url) as triton:
        triton.infer("video_motion", [tensor], request_id=request_id, parameters=parameters)


def lines_of(server: Server, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while True:  # a line is read a moment after it was written
        said = [json.loads(text) for text in server.log.splitlines() if text.startswith("{")]
        found = [entry for entry in said if entry.get("request_id") == request_id]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_each_model_that_reads_a_video_logs_what_it_did(server: Server) -> None:
    infer(server, GOOD, "good one")
    sampling, decode = lines_of(server, "good one", 2)
    expected = {"event": "request", "outcome": "ok", "video_bytes": len(GOOD), "motion_clips": 1, "camera_clips": 1}
    assert sampling.items() >= {**expected, "model": "video_sampling"}.items()
    assert decode.items() >= {**expected, "model": "video_decode"}.items()
    assert sampling["frames_wanted"] == decode["frames_wanted"]
    assert 16 <= decode["frames_wanted"] <= decode["frames_decoded"] <= 60
    assert sampling["decoder"] == decode["decoder"] == "ffmpeg"
    assert not {"why_not_nvdec", "nvdec_error"} & {*sampling, *decode}  # this profile has no NVDEC
    assert 0 < sampling["seconds"] < 8
    assert sampling["time"] < decode["time"]


def test_a_refusal_is_logged_with_the_message_that_the_caller_got(server: Server) -> None:
    with pytest.raises(InferenceServerException) as raised:
        infer(server, GOOD[:2000], "bad one")
    (entry,) = lines_of(server, "bad one")
    assert (entry["outcome"], entry["reason"]) == ("refused", "truncated")
    assert raised.value.message().endswith(f"{entry['error']} [{entry['reason']}]")
    assert "frames_wanted" not in entry


def test_untrusted_names_stay_inside_their_line(server: Server) -> None:
    request_id = HOSTILE.replace("\0", "")  # which Triton takes for the end of a string
    with pytest.raises(InferenceServerException):
        infer(server, GOOD, request_id, **{HOSTILE: "1"})
    (entry,) = lines_of(server, request_id)
    assert entry["reason"] == "invalid_parameter"
    assert not any(text.startswith('{"event": "forged"') for text in server.log.splitlines())
    assert "\x1b" not in server.log


@pytest.mark.parametrize("text", [HOSTILE, "\U0001f3ac" * 5000, "\ud800", "x" * 100_000])
def test_a_line_is_printable_and_short_whatever_is_in_it(text: str) -> None:
    record = RequestRecord("video_sampling", text, video_bytes=2**31)
    record.fail(Reason.UNEXPECTED, text)
    record.count_wanted(10**6, 512, 512, 256)
    record.decoder, record.nvdec_error, record.why_not_nvdec = Decoder.FFMPEG, text, text
    written = line(record)
    assert len(written) <= 4096  # what a pipe takes in one piece
    assert written.endswith(b"}\n")
    assert all(0x20 <= byte < 0x7F for byte in written[:-1])
    assert text.startswith(json.loads(written)["request_id"])


@pytest.mark.parametrize(
    ("logged", "expected"), [("all", ["1", "2", "3"]), ("errors", ["2", "3"]), ("off", []), ("", ["1", "2", "3"])]
)
def test_the_environment_selects_which_requests_are_logged(logged: str, expected: list[str]) -> None:
    reader, writer = os.pipe()
    log = RequestLog(RequestLog.from_environment({"REQUEST_LOG": logged})._logged, writer)
    bad = RequestRecord("video_sampling", "2")
    bad.fail(Reason.EMPTY, "the file is empty")
    fallen_back = RequestRecord("video_decode", "3", decoder=Decoder.FFMPEG, nvdec_error="NVDEC crashed")
    for record in (RequestRecord("video_sampling", "1"), bad, fallen_back):
        log.write(record)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert [json.loads(text)["request_id"] for text in pipe] == expected


def test_of_callers_that_have_gone_few_are_logged_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("video.request_log.time.monotonic", lambda: now)
    reader, writer = os.pipe()
    log = RequestLog.from_environment({})
    log = RequestLog(log._logged, writer)
    for second in (0, 1, 9.9, 10.1, 30):
        now = 100.0 + second
        record = RequestRecord("video_decode", str(second))
        record.fail(Reason.ABANDONED, "the caller has gone")
        log.write(record)
        log.write(RequestRecord("video_decode", "good"))
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = [json.loads(text) for text in pipe]
    abandoned = [(entry["request_id"], entry.get("more_abandoned")) for entry in said if entry["outcome"] != "ok"]
    assert abandoned == [("0", None), ("10.1", 2), ("30", None)]
    assert len(said) == len(abandoned) + 5


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(ValueError, match="REQUEST_LOG is 'yes', it must be all, errors or off"):
        RequestLog.from_environment({"REQUEST_LOG": "yes"})


def test_a_log_without_a_reader_fails_no_request() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    RequestLog(Logged.ALL, writer).write(RequestRecord("video_sampling", "1"))
    os.close(writer)
