"""Invalid input, accidental or malicious: each gets its own error message, and the server keeps working."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import Client, InvalidRequest
from fixtures.synthetic import encode, encode_audio, encode_still
from server import Server
from tests.test_ensemble import infer

GOOD = encode(60)


def half_with_its_index(video: bytes) -> bytes:
    """An mp4 with complete boxes but only half of the frames that its index lists."""
    mdat, moov = video.index(b"mdat") - 4, video.index(b"moov") - 4
    kept = (moov - mdat) // 2
    # The index comes first and keeps its size: its offsets then point beyond the remaining frames.
    return video[:mdat] + video[moov:] + kept.to_bytes(4, "big") + video[mdat + 4 : mdat + kept]


def faststart(video: bytes) -> bytes:
    """The same mp4 with its index first, offsets corrected, as a web server would have it."""
    mdat, moov = video.index(b"mdat") - 4, video.index(b"moov") - 4
    index = bytearray(video[moov:])
    table = index.index(b"stco")
    for entry in range(int.from_bytes(index[table + 8 : table + 12], "big")):
        place = table + 12 + 4 * entry
        index[place : place + 4] = (int.from_bytes(index[place : place + 4], "big") + len(index)).to_bytes(4, "big")
    return video[:mdat] + bytes(index) + video[mdat:moov]


def half(video: bytes) -> bytes:
    return video[: len(video) // 2]


def without_frames() -> bytes:
    """An mp4 whose video track has no samples."""
    video = bytearray(encode(1))
    for box, fields in ((b"stsz", (8,)), (b"stts", (4,)), (b"stsc", (4,)), (b"stco", (4,))):
        start = video.index(box) + 4
        for field in fields:
            video[start + field : start + field + 4] = bytes(4)
    return bytes(video)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"not a video, but a letter\n" * 40, "the file (1040 bytes) is not a video in a supported"),
    "random bytes": (lambda: np.random.default_rng(0).bytes(5000), "is not a video in a supported container"),
    "moov missing": (lambda: GOOD[: GOOD.index(b"moov") - 4], "the file has no moov box, the index of an mp4: it is"),
    "cut in half": (lambda: half(GOOD), "bytes are missing at its end"),
    "cut in half, index first": (lambda: half(faststart(encode(100))), "bytes are missing at its end"),
    "index points beyond the end": (lambda: half_with_its_index(encode(100)), "of 100: the file is truncated or"),
    "mkv cut in half": (lambda: half(encode(60, container="matroska")), "bytes are missing at its end"),
    "audio only": (encode_audio, "the video has no video stream"),
    "png": (encode_still, "the file is a still image (PNG), not a video"),
    "jpeg": (lambda: encode_still("mjpeg"), "the file is a still image (JPEG), not a video"),
    "zero-length video stream": (without_frames, "the video has no frames"),
    "unsupported codec": (
        lambda: encode(10, codec="ffv1", container="matroska"),
        "the video's codec is ffv1; supported codecs are H.264, HEVC",
    ),
    "unsupported container": (
        lambda: encode(10, codec="mpeg2video", container="mxf"),
        "the file is MXF, not a video in a supported container (mp4, mov",
    ),
    "ts cut within a packet": (
        lambda: half(encode(60, container="mpegts"))[:-5],
        "the file is truncated: it ends within",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_a_sentence_and_the_next_good_one_its_scores(server: Server, name: str) -> None:
    before = infer(server, GOOD)
    make, message = BAD[name]
    with pytest.raises(InferenceServerException) as raised:
        infer(server, make())
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in raised.value.message()
    assert "\n" not in raised.value.message().strip()
    after = infer(server, GOOD)
    np.testing.assert_array_equal(before["MOTION_SCORES"], after["MOTION_SCORES"])
    np.testing.assert_array_equal(before["CAMERA_PROBABILITIES"], after["CAMERA_PROBABILITIES"])


@pytest.mark.parametrize(
    ("frames", "width", "height", "pixel_format"),
    [(1, 160, 120, None), (30, 8, 8, None), (30, 427, 241, "yuv444p"), (30, 1000, 16, None)],
    ids=["one frame", "8 x 8", "odd sizes", "very wide"],
)
def test_unusual_videos_are_scored(
    client: Client, frames: int, width: int, height: int, pixel_format: str | None
) -> None:
    score = client.score(encode(frames, width=width, height=height, pixel_format=pixel_format))
    assert (score.info.frames, score.info.width, score.info.height) == (frames, width, height)
    assert len(score.camera) == 1
    assert all(0 <= value <= 3 for value in vars(score.motion).values())
    assert all(0 <= value <= 1 for value in score.camera[0].probabilities.values())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fpps": 4}, "unknown parameter 'fpps'; the parameters are fps, max_frames, clip_seconds"),
        ({"fps": -1.5}, "fps is -1.5, it must be a number from 0.01 to 240"),
        ({"max_clips": 33}, "max_clips is 33, it must be a whole number from 1 to 32"),
        ({"clip_seconds": "long"}, "clip_seconds is 'long', it must be a number"),
        ({"start_seconds": 100.0}, "no frame lies between start_seconds 100"),
        ({"start_seconds": 3.0, "end_seconds": 2.0}, "end_seconds is 2, which is not after start_seconds, 3"),
    ],
)
def test_a_bad_parameter_is_named(server: Server, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InferenceServerException) as raised:
        infer(server, GOOD, **parameters)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in raised.value.message()


@pytest.mark.parametrize(
    ("video", "dtype", "message"),
    [
        (np.zeros((1, 4), np.float32), "FP32", "data-type is 'FP32', but model 'video_motion' expects 'UINT8'"),
        (np.zeros(4, np.uint8), "UINT8", "Expected [1,-1], got [4]"),
        (np.zeros((2, 4), np.uint8), "UINT8", "Expected [1,-1], got [2,4]"),
    ],
)
def test_a_wrong_type_or_shape_is_refused(server: Server, video: np.ndarray, dtype: str, message: str) -> None:
    tensor = grpc.InferInput("VIDEO", list(video.shape), dtype)
    tensor.set_data_from_numpy(video)
    with grpc.InferenceServerClient(server.url) as triton, pytest.raises(InferenceServerException) as raised:
        triton.infer("video_motion", [tensor])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in raised.value.message()


def test_the_sentence_arrives_alone(client: Client) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.score(encode_audio())
    assert str(raised.value) == "the video has no video stream"
