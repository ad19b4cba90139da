"""Which decoder gets a video, and how the model that decodes on the GPU is called, with a stand-in for Triton."""

import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from video import Limits
from video.decoder import Decoder
from video.gpu_decoder import Choice, choose, positive
from video.nvdec_capabilities import Capabilities, formats_of

HOPPER = Capabilities(formats_of((9, 0)), "test")
PLAN: dict[str, Any] = {
    "decoder": "h264",
    "profile": "High",
    "pixel_format": "yuv420p",
    "full_range": False,
    "range_in_bitstream": False,
    "info": [10.0, 250, 25.0, 1920, 1080],
    "orientation": [0, False],
    "frame_order": [0],
    "metric_order": [],
    "decoded_share": 1.0,
    "stripped_video": np.zeros(100, np.uint8),
    "frames_to_decode": 250,
    "frame_indices": list(range(100)),
}


def choice(
    limits: Limits | None = None, max_decoded_bytes: int = 8 * 10**9, square_frames: bool = True, **changed: object
) -> Choice:
    limits = limits or Limits()
    return choose(PLAN | changed, 10**6, HOPPER, limits, max_decoded_bytes, square_frames=square_frames)


def test_nvdec_gets_what_it_reads() -> None:
    assert choice() == (Decoder.NVDEC, None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"decoder": "libdav1d", "profile": "Main"}, "NVDEC does not read av1 4:2:0 of 8 bits"),
        ({"profile": "High 10", "pixel_format": "yuv420p10le"}, "NVDEC does not read h264 4:2:0 of 10 bits"),
        ({"decoder": "theora"}, "NVDEC does not read theora 4:2:0 of 8 bits"),
        ({"full_range": True}, "DALI may convert its colors (yuv420p, full range) otherwise"),
        ({"decoded_share": 0.874}, "the file is damaged: 87% of it decodes"),
        ({"metric_order": [0]}, "measures are asked for, which are computed where FFmpeg decodes"),
        ({"stripped_video": np.zeros(0, np.uint8)}, "the file cannot be stripped for certain"),
        (
            {"max_decoded_bytes": 600_000_000},
            "the 100 wanted frames of 1920 x 1080 take 0.62 GB when decoded, more than 0.60 GB (MAX_DECODED_BYTES)",
        ),
    ],
    ids=["av1", "10 bits", "theora", "full range", "damaged", "measured", "not stripped", "too much memory"],
)
def test_ffmpeg_gets_everything_else_and_the_reason_is_said(changed: dict[str, Any], why: str) -> None:
    assert choice(**changed) == (Decoder.FFMPEG, why)


def test_nvdec_gets_full_range_if_the_bitstream_states_it() -> None:
    assert choice(full_range=True, range_in_bitstream=True).decoder is Decoder.NVDEC


def test_a_turned_video_whose_encoder_frames_are_not_square_is_for_ffmpeg() -> None:
    assert choice(orientation=[90, False], square_frames=False).decoder is Decoder.FFMPEG
    assert choice(orientation=[180, True], square_frames=False).decoder is Decoder.NVDEC
    assert choice(orientation=[90, False], square_frames=False, frame_order=[]).decoder is Decoder.NVDEC


def test_too_much_to_decode_is_left_for_ffmpeg_to_refuse() -> None:
    found = choice(Limits(max_decoded_pixels=10**8, max_decoded_pixels_per_byte=1))
    assert found.decoder is Decoder.FFMPEG
    assert str(found.why_not_nvdec).startswith("the wanted frames need 250 frames of 1920 x 1080 decoded")


def test_the_size_that_counts_is_that_of_decoded_frames_not_of_displayed_ones() -> None:
    wide: dict[str, Any] = {"info": [10.0, 250, 25.0, 1000, 2000], "decoder": "mpeg4", "profile": "Simple Profile"}
    assert choice(**wide, orientation=[90, False]).decoder is Decoder.NVDEC  # decoded as 2000 x 1000
    assert choice(**wide).decoder is Decoder.FFMPEG


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "a minute", "", None])
def test_a_parameter_that_is_not_a_positive_number_is_named(value: str | None) -> None:
    with pytest.raises(ValueError, match=f"^NVDEC_SECONDS is {value!r}, it must be a positive number$"):
        positive({} if value is None else {"NVDEC_SECONDS": value}, "NVDEC_SECONDS")
    assert positive({"NVDEC_SECONDS": "0.5"}, "NVDEC_SECONDS") == 0.5


class Tensor:
    """In place of Triton's; nothing can take it to the host."""

    def __init__(self, name: str, value: object = None) -> None:
        self._name, self.value = name, value

    def name(self) -> str:
        return self._name


class Answer:
    """In place of Triton's InferenceResponse."""

    def __init__(self, tensors: list[Tensor], error: str | None = None) -> None:
        self._tensors, self._error = tensors, error

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(message=lambda: self._error)

    def output_tensors(self) -> list[Tensor]:
        return self._tensors


@pytest.fixture
def calling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Calls the model, whose answer a function makes; returns the request and what came of it."""
    made: list[dict[str, Any]] = []

    def call(answer: Callable[[], Answer], seconds: float = 10.0) -> tuple[dict[str, Any], Any]:
        class InferenceRequest:
            def __init__(self, **request: Any) -> None:
                made.append(request)

            def exec(self) -> Answer:
                return answer()

        utilities = types.SimpleNamespace(Tensor=Tensor, InferenceRequest=InferenceRequest)
        monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utilities)
        sys.modules.pop("video.nvdec_model", None)
        module = importlib.import_module("video.nvdec_model")
        inputs = {"VIDEO": np.zeros((1, 5), np.uint8), "FRAME_INDICES": np.zeros((1, 1), np.int32)}
        try:
            return made, module.decode_on_gpu(inputs, seconds, "name")  # type: ignore[return-value]
        except module.NvdecFailed as error:
            return made, str(error)  # type: ignore[return-value]

    yield call
    sys.modules.pop("video.nvdec_model", None)


CLIPS = [Tensor("CAMERA_CLIPS"), Tensor("MOTION_CLIPS"), Tensor("FRAME_CLIPS")]


def test_clips_from_the_gpu_are_passed_on_as_they_are(calling: Callable[..., Any]) -> None:
    (request,), found = calling(lambda: Answer(CLIPS))
    assert found == {clips.name(): clips for clips in CLIPS}
    assert [(tensor.name(), tensor.value.shape) for tensor in request["inputs"]] == [
        ("VIDEO", (1, 5)),
        ("FRAME_INDICES", (1, 1)),
    ]
    assert (request["model_name"], request["request_id"]) == ("video_decode_nvdec", "name")
    assert request["timeout"] == 10_000_000  # microseconds
    assert sorted(request["requested_output_names"]) == ["CAMERA_CLIPS", "FRAME_CLIPS", "MOTION_CLIPS"]


def raises() -> Answer:
    raise RuntimeError("BLS is only supported during 'execute'")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: Answer([], "DALI: no"), "DALI: no"),
        (raises, "RuntimeError: BLS is only supported during 'execute'"),
        (lambda: Answer(CLIPS[::2]), "the answer lacks MOTION_CLIPS"),
    ],
)
def test_every_failure_is_told_as_one(answer: Callable[[], Answer], why: str, calling: Callable[..., Any]) -> None:
    assert calling(answer)[1] == why


def test_a_decoder_that_hangs_is_not_waited_for(calling: Callable[..., Any]) -> None:
    let_go = threading.Event()

    def hangs() -> Answer:
        let_go.wait(30)
        return Answer(CLIPS)

    try:
        assert calling(hangs, seconds=0.05)[1] == "there was no answer within 0.05 s"
    finally:
        let_go.set()
