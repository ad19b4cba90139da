"""A worker's response is accepted only if it is possible."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fixtures.synthetic import encode
from video import DecoderFailed, IsolatedDecoder, Limits
from video.isolation import MAX_COUNT, End
from video.plan import checked

LIMITS = Limits(max_frames=1000, max_pixels=640 * 480)
VIDEO = encode(30)
FILE_BYTES = 10_000
GOOD: dict[str, Any] = {
    "frame_indices": list(range(0, 32, 2)),
    "motion_order": list(range(16)),
    "camera_order": [*range(16)] * 2,
    "frame_order": [0, 15],
    "frame_seconds": [0.0, 1.2],
    "clip_seconds": [[0.0, 2.0], [2.0, 4.0]],
    "metric_order": [0, 3, 15],
    "info": [4.0, 100, 25.0, 640, 480],
    "header_duration_seconds": None,
    "orientation": [90, True],
    "full_range": True,
    "range_in_bitstream": False,
    "frames_to_decode": 31,
    "demuxer": "mov",
    "decoder": "h264",
    "profile": "High 4:2:2",
    "pixel_format": "yuv422p10le",
    "decoded_share": 0.8,
    "stripped_bytes": 5000,
    "stripped_indices": list(range(16)),
}
NO_COUNTS: tuple[object, ...] = (None, "12", -1, 1.5, True, MAX_COUNT, 10**400, [], {})
"""What cannot be a number of decoded frames."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(LIMITS)
    yield made
    made.close()


def test_a_valid_plan_is_accepted(decoder: IsolatedDecoder) -> None:
    for good in (
        GOOD,
        GOOD | {"header_duration_seconds": 3600.0, "profile": None},
        GOOD | {"stripped_bytes": 0, "stripped_indices": []},
        GOOD | {"motion_order": [], "frame_order": [], "frame_seconds": [], "metric_order": []},
        GOOD | {"motion_order": [], "camera_order": [], "clip_seconds": [], "frame_order": [], "frame_seconds": []},
        GOOD | {"stripped_bytes": FILE_BYTES + (1 << 20)},
    ):
        assert checked(copy.deepcopy(good), LIMITS, FILE_BYTES) == good
    assert decoder.plan(memoryview(VIDEO), {})["info"][1] == 30


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("frame_indices", []),
        ("frame_indices", None),
        ("frame_indices", {"0": 0}),
        ("frame_indices", [0.0] * 16),
        ("frame_indices", [False, True]),
        ("frame_indices", [*range(15), 100]),
        ("frame_indices", [-1, *range(15)]),
        ("frame_indices", [*range(15), 14]),
        ("frame_indices", [*range(15), 10**400]),
        ("motion_order", [0] * 17),
        ("motion_order", [0] * 528),
        ("motion_order", [16] * 16),
        ("camera_order", []),
        ("camera_order", [-1] * 32),
        ("metric_order", [3, 0]),
        ("metric_order", [3, 3]),
        ("metric_order", [0, 16]),
        ("metric_order", [0.0]),
        ("metric_order", None),
        ("frame_order", [0]),
        ("frame_order", [0, 16]),
        ("frame_order", [0] * 257),
        ("frame_order", "01"),
        ("frame_seconds", [0.0, float("nan")]),
        ("frame_seconds", [0.0]),
        ("frame_seconds", "01"),
        ("camera_order", [0] * 16),
        ("camera_order", "0" * 32),
        ("clip_seconds", [[0.0, 2.0]]),
        ("clip_seconds", [[0.0, 2.0], [2.0]]),
        ("clip_seconds", [[0.0, 2.0], [2.0, float("nan")]]),
        ("clip_seconds", [[0.0, 2.0], ["2", "4"]]),
        ("info", [4.0, 100, 25.0, 640]),
        ("info", [float("inf"), 100, 25.0, 640, 480]),
        ("info", [4.0, 1001, 25.0, 640, 480]),
        ("info", [4.0, 100.0, 25.0, 640, 480]),
        ("info", [4.0, 100, 25.0, 640, 481]),
        ("info", [4.0, 100, 25.0, -640, -480]),
        ("info", [4.0, 100, 25.0, True, 480]),
        ("info", [4.0, 100, 25.0, 10**400, 480]),
        ("header_duration_seconds", float("nan")),
        ("header_duration_seconds", 10**400),
        ("header_duration_seconds", "4"),
        ("header_duration_seconds", [4.0]),
        ("orientation", [45, False]),
        ("orientation", [90.0, False]),
        ("orientation", [90, 1]),
        ("orientation", [90]),
        ("orientation", 90),
        ("orientation", None),
        ("full_range", 1),
        ("range_in_bitstream", None),
        ("frames_to_decode", 0),
        ("frames_to_decode", 1001),
        ("frames_to_decode", 31.0),
        ("frames_to_decode", True),
        ("frames_to_decode", None),
        ("decoded_share", 0.4),
        ("decoded_share", 1.1),
        ("decoded_share", True),
        ("decoded_share", None),
        ("demuxer", "hls"),
        ("demuxer", None),
        ("decoder", "h264; rm"),
        ("decoder", ["h264"]),
        ("profile", 100),
        ("profile", "x" * 41),
        ("pixel_format", "yuv420p\n"),
        ("pixel_format", ["yuv420p"]),
        ("stripped_bytes", -1),
        ("stripped_bytes", FILE_BYTES + (1 << 20) + 1),
        ("stripped_bytes", 5000.0),
        ("stripped_bytes", None),
        ("stripped_bytes", 0),
        ("stripped_indices", []),
        ("stripped_indices", list(range(15))),
        ("stripped_indices", [*range(15), 14]),
        ("stripped_indices", [*range(15), 1000]),
        ("stripped_indices", [-1, *range(15)]),
        ("stripped_indices", [float(index) for index in range(16)]),
        ("stripped_indices", None),
        ("path", "/etc/passwd"),
    ],
)
def test_an_invalid_field_is_refused(field: str, said: object) -> None:
    with pytest.raises(ValueError, match="not a valid plan"):
        checked(GOOD | {field: said}, LIMITS, FILE_BYTES)


@pytest.mark.parametrize("said", [None, [], "plan", 1, {}, {"frame_indices": [0]}])
def test_what_is_not_a_plan_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match="not a valid plan"):
        checked(said, LIMITS, FILE_BYTES)


@pytest.mark.parametrize(
    "answer",
    [
        {"result": GOOD | {"frame_indices": [5000]}, "frames_decoded": "none"},
        {"result": 10 * ["a"]},
        {"error": "SystemExit", "message": "", "reason": "damaged", "frames_decoded": 0},
        {"error": "InvalidVideo", "message": "", "reason": "because", "frames_decoded": 0},
        {"error": ["InvalidVideo"], "message": "", "reason": "damaged", "frames_decoded": 0},
        ["result"],
        b"text",
        b"[" * 100_000,
        b"\xff\xfe",
        {"result": GOOD},
        *({"result": GOOD, "frames_decoded": said} for said in NO_COUNTS),
    ],
    ids=lambda answer: str(answer)[:40],
)
def test_an_invalid_response_ends_the_worker(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    made = IsolatedDecoder(LIMITS)
    said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    monkeypatch.setattr(made, "_hand_over", lambda *_: True)
    monkeypatch.setattr(made, "_receive", lambda: said)
    ended: list[End] = []
    monkeypatch.setattr(made, "_stop", ended.append)
    order = np.zeros(16, int)
    for ask in (
        lambda: made.plan(memoryview(VIDEO), {}),
        lambda: made.decode(memoryview(VIDEO), np.array([0]), order, order, 224),
    ):
        with pytest.raises(DecoderFailed, match="the decoder process returned an invalid response"):
            ask()
    assert ended == [End.MISBEHAVED] * 2
    assert made.frames_decoded == 0


def test_an_invalid_plan_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    made = IsolatedDecoder(LIMITS)
    said = {"result": GOOD | {"frame_indices": [5000]}, "frames_decoded": 0}
    monkeypatch.setattr(made, "_hand_over", lambda *_: True)
    monkeypatch.setattr(made, "_receive", lambda: json.dumps(said).encode())
    ended: list[End] = []
    monkeypatch.setattr(made, "_stop", ended.append)
    with pytest.raises(DecoderFailed, match="the decoder process returned an invalid response"):
        made.plan(memoryview(VIDEO), {})
    assert ended == [End.MISBEHAVED]


def test_an_error_message_of_a_worker_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    made = IsolatedDecoder(LIMITS)
    said = {"error": "DecoderFailed", "message": "x" * 500_000, "reason": "decoder_failed", "frames_decoded": 3}
    monkeypatch.setattr(made, "_hand_over", lambda *_: True)
    monkeypatch.setattr(made, "_receive", lambda: json.dumps(said).encode())
    with pytest.raises(DecoderFailed) as raised:
        made.plan(memoryview(VIDEO), {})
    assert len(str(raised.value)) == 1000
