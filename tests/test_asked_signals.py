"""The parameters `signals` and `frames`: which frames they take, and what they may be."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from server.missing_signals import missing_signal
from video.errors import InvalidParameter
from video.frame_form import FrameForm
from video.parameters import Parameters
from video.sampling import Sampling, sample
from video.signals import OF_VIDEO_MOTION, Signal, asked_signals, served_signals
from video.weights import described

EVERY = tuple(Signal)
MANIFEST: dict[str, Any] = {"motion": "made@1", "camera": "made@2", "labels": ["static"], "shortest_edge": 224}


def sampled(count: int, *signals: Signal, seconds: float | None = None, **parameters: Any) -> Sampling:
    times = np.arange(count) / 25
    return sample(times, seconds or count / 25, Parameters(signals=signals, **parameters))


def test_frames_are_spread_from_the_first_to_the_last() -> None:
    sampling = sampled(250, Signal.FRAMES, frames=5)
    assert sampling.frame_indices[sampling.frame_order].tolist() == [0, 62, 124, 186, 249]
    assert sampling.frame_seconds.tolist() == pytest.approx([0, 2.48, 4.96, 7.44, 9.96])


def test_one_frame_is_the_first_and_a_short_video_repeats_its_frames() -> None:
    assert sampled(250, Signal.FRAMES, frames=1).frame_indices.tolist() == [0]
    sampling = sampled(3, Signal.FRAMES, frames=8)
    assert sampling.frame_indices[sampling.frame_order].tolist() == [0, 0, 0, 0, 1, 1, 1, 2]


def test_frames_are_those_of_the_part_asked_for() -> None:
    sampling = sampled(250, Signal.FRAMES, frames=3, start_seconds=2.0, end_seconds=4.0)
    assert sampling.frame_indices[sampling.frame_order].tolist() == [50, 74, 99]
    assert sampling.frame_seconds.tolist() == pytest.approx([2.0, 2.96, 3.96])


@pytest.mark.parametrize(
    ("signals", "filled"),
    [
        ((Signal.MOTION,), {"motion_order"}),
        ((Signal.SEGMENTS,), {"motion_order"}),
        ((Signal.CAMERA,), {"camera_order", "clip_seconds"}),
        ((Signal.ACTIONS,), {"camera_order", "clip_seconds"}),
        ((Signal.FRAMES,), {"frame_order", "frame_seconds"}),
        ((Signal.METRICS,), {"metric_order"}),
        (OF_VIDEO_MOTION, {"motion_order", "camera_order", "clip_seconds"}),
        (EVERY, {"motion_order", "camera_order", "clip_seconds", "frame_order", "frame_seconds", "metric_order"}),
    ],
)
def test_what_no_signal_needs_is_not_decoded(signals: tuple[Signal, ...], filled: set[str]) -> None:
    sampling, every = sampled(500, *signals), sampled(500, *EVERY)
    fields = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__ if name != "frame_indices"}
    assert {name for name, values in fields.items() if len(values)} == filled
    for name in filled - {"clip_seconds", "frame_seconds"}:
        assert np.array_equal(
            sampling.frame_indices[fields[name]], every.frame_indices[getattr(every, name)]
        )  # the same frames, whatever else is asked
    used = np.concatenate([values for name, values in fields.items() if name.endswith("_order")])
    assert sorted(set(used.tolist())) == list(range(len(sampling.frame_indices)))


def test_names_are_separated_by_commas_and_have_a_fixed_order() -> None:
    assert asked_signals("frames, motion,frames", EVERY) == (Signal.MOTION, Signal.FRAMES)


@pytest.mark.parametrize(
    ("value", "served", "sentence"),
    [
        ("", OF_VIDEO_MOTION, "signals names '', it must be names out of motion, camera, with commas between them"),
        ("motion,", OF_VIDEO_MOTION, "signals names '', it must be"),
        ("Motion", OF_VIDEO_MOTION, "signals names 'Motion', it must be"),
        ("frames", OF_VIDEO_MOTION, "signals names 'frames', it must be names out of motion, camera, with commas"),
        ("x" * 100, EVERY, f"signals names '{'x' * 40}', it must be"),
        (
            3,
            EVERY,
            "signals is '3', it must be names out of motion, camera, segments, frames, actions, metrics, with commas",
        ),
        (True, EVERY, "signals is 'True', it must be names"),
    ],
)
def test_other_values_have_a_sentence(value: object, served: tuple[Signal, ...], sentence: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        Parameters.from_request({"signals": value}, served)
    assert str(raised.value).startswith(sentence)


def test_what_is_served_follows_from_what_was_exported() -> None:
    assert served_signals(MANIFEST) == (Signal.MOTION, Signal.CAMERA, Signal.SEGMENTS)
    assert served_signals(MANIFEST | {"actions": {}}) == (Signal.MOTION, Signal.CAMERA, Signal.SEGMENTS, Signal.ACTIONS)
    assert served_signals(MANIFEST | {"metrics": ["cuts"]})[-1] == Signal.METRICS
    assert served_signals(MANIFEST | {"actions": {}, "frames": {}, "metrics": ["cuts"]}) == EVERY


def test_without_signals_all_that_is_served_is_prepared_but_no_measures() -> None:
    assert Parameters.from_request({}).signals == OF_VIDEO_MOTION
    assert Parameters.from_request({}, EVERY).signals == EVERY[:-1]
    assert Parameters.from_request({"signals": "metrics"}, EVERY).signals == (Signal.METRICS,)


def test_callers_learn_labels_and_encoders_but_not_how_frames_are_prepared() -> None:
    frames = {
        "source": "made@3",
        "architecture": "clip",
        "dimensions": 24,
        "preprocessing": {},
        "model": "frame_encoder",
    }
    head = {"source": "directory /h", "on": "frames", "encoder": "made@3", "labels": ["a", "b"], "dimensions": 24}
    content = described(MANIFEST | {"frames": frames, "heads": {"genre": head}})
    assert content["frames"] == {"source": "made@3", "architecture": "clip", "dimensions": 24}
    assert content["heads"] == {
        "genre": {"source": "directory /h", "on": "frames", "encoder": "made@3", "labels": ["a", "b"]}
    }
    assert described(MANIFEST) == MANIFEST
    assert described(MANIFEST | {"metrics": ["frames", "cuts"]})["metrics"] == ["frames", "cuts"]


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (97, 31), (31, 97), (32, 32), (20, 3000)])
@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
def test_a_frame_is_resized_whole_and_cropped_as_the_image_processor_does(size: tuple[int, int], resample: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    form = FrameForm.of({"resize": {"shortest_edge": 40}, "resample": resample, "crop": {"height": 32, "width": 36}})
    height, width = (int(40 * side / min(size)) for side in size)
    resized = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling[resample.upper()]))
    top, left = (height - 32) // 2, (width - 36) // 2
    expected = resized[top : top + 32, left : left + 36].astype(int)
    difference = np.abs(form.prepare(frame).astype(int) - expected)
    assert difference.max() <= (8 if 3000 in size else 0)
    assert difference.mean() < 0.5


def test_only_a_missing_input_of_a_network_has_another_sentence() -> None:
    triton = (
        "in ensemble 'video_motion', [request id: <id_unknown>] expected 1 inputs but got 0 inputs for model "
        "'camera_classifier'. Got input(s) [], but missing required input(s) ['CAMERA_CLIPS']. Please provide all."
    )
    sentence = missing_signal(triton)
    assert sentence is not None
    assert sentence.startswith("a requested output needs a signal that signals does not name (camera): name it, or")
    assert missing_signal(triton.replace("CAMERA_CLIPS", "VIDEO")) is None
    assert missing_signal(triton.replace("in ensemble ", "")) is None
