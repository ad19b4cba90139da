"""Invalid input, accidental or malicious: each gets its own error message, and the server keeps working."""

import time
from collections.abc import Callable
from typing import Any

import grpc as grpc_core
import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from client import Client, InvalidRequest
from fixtures.bombs import bomb
from fixtures.synthetic import encode, encode_audio, encode_still
from server import Server
from server.flags import GRPC_KEY_NAME
from server.proxy import INFER
from tests.metrics import risen, scrape
from tests.processes import workers
from tests.test_ensemble import infer
from video.call_files import new_token
from video.clips import CLIP_SHAPE
from video.cpu_share import CALL
from video.shared_clips import CLIP_BYTES, MARK

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


def call(server: Server, model: str, inputs: dict[str, np.ndarray], *, with_key: bool = False) -> grpc.InferResult:
    """The answer of a model behind the ensemble, called directly."""
    tensors = []
    for name, value in inputs.items():
        kind = {"|u1": "UINT8", "<i4": "INT32", "<f4": "FP32", "|O": "BYTES"}[value.dtype.str]
        tensors.append(grpc.InferInput(name, list(value.shape), kind))
        tensors[-1].set_data_from_numpy(value)
    headers = {GRPC_KEY_NAME: server.key} if with_key else None
    with grpc.InferenceServerClient(server.url) as triton:
        return triton.infer(model, tensors, headers=headers)


def to_decode(frames: int, motion: int, camera: int, **others: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of video_decode: so many frame indices, and positions in each order."""
    order = np.arange(max(motion, camera), dtype=np.int32)[None] % min(max(frames, 1), 16)
    return {
        "VIDEO": np.frombuffer(GOOD, np.uint8)[None],
        "FRAME_INDICES": np.arange(frames, dtype=np.int32)[None],
        "MOTION_ORDER": order[:, :motion],
        "CAMERA_ORDER": order[:, :camera],
        "FRAME_SIZE": np.array([[120, 160]], np.int32),
        "ORIENTATION": np.array([[0, 0]], np.int32),
        **others,
    }


def test_the_decoder_is_closed_to_callers_without_the_key(server: Server) -> None:
    for inputs in (to_decode(16, 16, 16), {"VIDEO": np.zeros((1, 4), np.uint8)}):
        with pytest.raises(InferenceServerException) as raised:
            call(server, "video_decode", inputs)
        assert raised.value.status() == "StatusCode.PERMISSION_DENIED"
        assert raised.value.message() == (
            "the model video_decode is closed to callers: call video_motion, or send the server's key"
        )
    for name in ("video_decode\0", "video_decode\0x"):  # the same model to Triton
        with pytest.raises(InferenceServerException, match="the name of its model has a zero byte"):
            call(server, name, to_decode(16, 16, 16))
    answer = call(server, "video_decode", to_decode(16, 16, 32), with_key=True)
    assert answer.as_numpy("MOTION_CLIPS").shape == (1, 16, 224, 224, 3)
    assert answer.as_numpy("CAMERA_CLIPS").shape == (2, 16, 224, 224, 3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (to_decode(16, 0, 0), "all orders are empty: one of them must have a frame"),
        (to_decode(0, 16, 16), "there are 0 frame indices; their number must be from 1 to 6080"),
        (to_decode(2_000_000, 16, 16), "there are 2000000 frame indices; their number must be from 1 to 6080"),
        (
            to_decode(16, 2_000_000, 16),
            "an order has 2000000 positions; their number must be a multiple of 16, at most",
        ),
        (to_decode(16, 16, 528), "an order has 528 positions; their number must be a multiple of 16, at most 512"),
        (to_decode(16, 8, 8), "an order has 8 positions; their number must be a multiple of 16, at most 512"),
        (to_decode(8, 16, 16) | {"MOTION_ORDER": np.full((1, 16), 8, np.int32)}, "positions outside the 8 frames"),
        (to_decode(8, 16, 16) | {"CAMERA_ORDER": np.full((1, 16), -1, np.int32)}, "positions outside the 8 frames"),
        (to_decode(61, 16, 16), "frame indices must be ascending, from 0 to 59"),
        (
            to_decode(16, 16, 16, FRAME_ORDER=np.zeros((1, 257), np.int32)),
            "FRAME_ORDER has 257 positions; their number must be at most 256",
        ),
        (
            to_decode(16, 16, 16, FRAME_ORDER=np.zeros((1, 1), np.int32)),
            "there is no image encoder to prepare frames for",
        ),
        (
            to_decode(16, 16, 16, METRIC_ORDER=np.array([[3, 2]], np.int32)),
            "the positions in METRIC_ORDER must ascend",
        ),
        (to_decode(16, 16, 16, VIDEO=np.zeros((1, 0), np.uint8)), "the file is empty"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_no_plan_asks_for_is_the_callers_mistake(
    server: Server, inputs: dict[str, np.ndarray], message: str
) -> None:
    decoders = workers(server.process.pid, "video_decode")
    with pytest.raises(InferenceServerException) as raised:
        call(server, "video_decode", inputs, with_key=True)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in raised.value.message()
    assert raised.value.message().strip().endswith(("[invalid_parameter]", "[empty]"))
    assert workers(server.process.pid, "video_decode") == decoders


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 47), "SEGMENT_EMBEDDINGS has the shape [2, 47], it must be [-1, 48] [invalid_parameter]"),
        ((2, 768), "SEGMENT_EMBEDDINGS has the shape [2, 768], it must be [-1, 48] [invalid_parameter]"),
        ((0, 48), "SEGMENT_EMBEDDINGS has 0 rows, it must have from 1 to 240 [invalid_parameter]"),
        ((241, 48), "SEGMENT_EMBEDDINGS has 241 rows, it must have from 1 to 240 [invalid_parameter]"),
        ((100_000, 48), "SEGMENT_EMBEDDINGS has 100000 rows, it must have from 1 to 240 [invalid_parameter]"),
    ],
)
def test_embeddings_that_the_head_cannot_take_are_the_callers_mistake(
    server: Server, shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        call(server, "motion_head", {"SEGMENT_EMBEDDINGS": np.zeros(shape, np.float32)})
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert raised.value.message().strip() == message
    largest = call(server, "motion_head", {"SEGMENT_EMBEDDINGS": np.zeros((240, 48), np.float32)})
    assert largest.as_numpy("MOTION_SCORES").shape == (1, 3)


@pytest.mark.parametrize(
    ("model", "name", "shape", "message"),
    [
        ("motion_backbone", "MOTION_CLIPS", (33, 16, 224, 224, 3), "batch-size must be <= 32"),
        ("motion_backbone", "MOTION_CLIPS", (1, 16, 112, 224, 3), "unexpected shape for input 'MOTION_CLIPS'"),
        ("camera_classifier", "CAMERA_CLIPS", (1, 15, 224, 224, 3), "unexpected shape for input 'CAMERA_CLIPS'"),
        ("camera_classifier", "CAMERA_CLIPS", (16, 224, 224, 3), "unexpected shape for input 'CAMERA_CLIPS'"),
    ],
)
def test_clips_that_a_network_cannot_take_are_the_callers_mistake(
    server: Server, model: str, name: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        call(server, model, {name: np.zeros(shape, np.uint8)})
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in raised.value.message()


def test_a_batch_without_rows_is_refused_at_once(server: Server) -> None:
    """In the queue of a network, it would wait for others to be merged with."""
    request = service_pb2.ModelInferRequest(model_name="camera_classifier", raw_input_contents=[bytes(CLIP_BYTES)])
    request.inputs.add(name="CAMERA_CLIPS", datatype="UINT8", shape=[0, *CLIP_SHAPE])
    with grpc_core.insecure_channel(server.url) as channel, pytest.raises(grpc_core.RpcError) as raised:
        channel.unary_unary(INFER)(request.SerializeToString(), timeout=60)
    assert raised.value.code() is grpc_core.StatusCode.INVALID_ARGUMENT
    assert "CAMERA_CLIPS has the shape" in raised.value.details()


def test_a_file_of_clips_that_cannot_be_made_is_not_a_lack_of_room(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server._shared_clips is not None
    token = new_token()
    place = server._shared_clips.path(token)
    place.mkdir()
    try:
        with monkeypatch.context() as patch:
            patch.setattr("server.proxy.new_token", lambda: token)
            with pytest.raises(InferenceServerException, match="unexpected IsADirectoryError") as raised:
                infer(server, GOOD)
    finally:
        place.rmdir()
    assert raised.value.status() == "StatusCode.INTERNAL"
    assert infer(server, GOOD)["MOTION_SCORES"].shape == (1, 3)


def test_a_small_file_cannot_make_the_decoder_work_for_long(server: Server) -> None:
    video = bomb(4096, 2160, 8000)
    assert len(video) < 1_600_000
    before, started = scrape(server), time.monotonic()
    with pytest.raises(InferenceServerException) as raised:
        infer(server, video)
    assert time.monotonic() - started < 3
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    message = raised.value.message().strip()
    assert "the wanted frames need 8000 frames of 4096 x 2160 decoded, 70.8 gigapixels; the maximum" in message
    assert message.endswith(
        "(MAX_DECODED_PIXELS): request a part of the video (start_seconds, end_seconds) [too_large]"
    )
    assert risen("video_motion_frames_decoded_total", before, scrape(server)) == {}
    # What needs no decoding is answered.
    assert infer(server, video, ["VIDEO_INFO"])["VIDEO_INFO"][0].tolist() == [320, 8000, 25, 4096, 2160]
    assert infer(server, bomb(160, 120, 20))["MOTION_SCORES"].shape == (1, 3)


@pytest.mark.parametrize("name", [CALL, MARK])
def test_a_caller_chooses_neither_its_share_of_the_decoders_nor_a_file_of_clips(server: Server, name: str) -> None:
    request = service_pb2.ModelInferRequest(model_name="video_motion", raw_input_contents=[GOOD])
    request.inputs.add(name="VIDEO", datatype="UINT8", shape=[1, len(GOOD)])
    with grpc_core.insecure_channel(server.url) as channel:
        call = channel.unary_unary(INFER)
        assert call(request.SerializeToString(), metadata=[(name, "3")], timeout=60)  # replaced by the proxy
        request.parameters[name].string_param = "3"
        with pytest.raises(grpc_core.RpcError) as raised:
            call(request.SerializeToString(), timeout=60)
    assert raised.value.code() is grpc_core.StatusCode.INVALID_ARGUMENT
    assert "reserved for Triton usage" in raised.value.details()
