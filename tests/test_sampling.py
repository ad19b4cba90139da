"""The frame rules, against PyTorch's linspace and the reference's figures."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.real_videos import NAMES as REAL_VIDEOS
from tests.conftest import REFERENCE
from video import InvalidParameter, Parameters, sample
from video.sampling import camera_windows, evenly_spread, motion_frame_indices

REFERENCE_TIMES = {
    "bikes": (250, Fraction(25), 10.0),
    "bigbuckbunny": (132, Fraction(25), 5.28),
    "carphone_pristine": (120, Fraction(30000, 1001), 4.004),
}


def timestamps(frames: int, rate: float | Fraction) -> np.ndarray:
    return np.arange(frames) / float(rate)


def test_frame_indices_are_those_of_the_float32_rule_for_every_length() -> None:
    for frames in range(1, 2001):
        for wanted in range(16, 257, 16):
            expected = torch.linspace(0, frames - 1, wanted).long().numpy()
            assert np.array_equal(evenly_spread(0, frames - 1, wanted), expected), (frames, wanted)


@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_reference_videos_are_sampled_like_the_reference(name: str) -> None:
    frames, rate, duration = REFERENCE_TIMES[name]
    sampling = sample(timestamps(frames, rate), duration, Parameters())
    motion = np.load(REFERENCE / "motion_seed0.npz")
    camera = np.load(REFERENCE / "camera_seed0.npz")
    assert np.array_equal(sampling.frame_indices[sampling.motion_order], motion[f"{name}_mp4/frame_indices"])
    clips = sampling.frame_indices[sampling.camera_order].reshape(-1, 16)
    assert np.array_equal(clips, camera[f"{name}_mp4/frame_indices"])
    assert np.allclose(sampling.clip_seconds, camera[f"{name}_mp4/clip_seconds"], atol=1e-9)


@pytest.mark.parametrize(
    ("duration", "fps", "max_frames", "segments"),
    [(0.04, 4, 240, 1), (3.99, 4, 240, 1), (4.0, 4, 240, 2), (10, 4, 240, 3), (1e6, 4, 240, 16), (10, 0.5, 240, 1),
     (1e6, 4, 496, 32), (1e6, 4, 15, 1)],
)  # fmt: skip
def test_number_of_segments(duration: float, fps: float, max_frames: int, segments: int) -> None:
    assert len(motion_frame_indices(5000, duration, fps, max_frames)) == 16 * segments


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (1.0, [(0, 1)]),
        (2.0, [(0, 2)]),
        (2.9, [(0, 2)]),
        (3.0, [(0, 2), (1, 3)]),
        (4.004, [(0, 2), (2, 4)]),
        (5.28, [(0, 2), (2, 4), (3.28, 5.28)]),
        (6.0, [(0, 2), (2, 4), (4, 6)]),
    ],
)
def test_camera_windows(duration: float, expected: list[tuple[float, float]]) -> None:
    assert camera_windows(0.0, duration, Parameters()).tolist() == [pytest.approx(window) for window in expected]


def test_camera_windows_overlap_with_a_short_stride_and_start_at_the_first_frame() -> None:
    windows = camera_windows(1.5, 4.0, Parameters(clip_stride_seconds=1.0))
    assert windows.tolist() == [[1.5, 3.5], [2.5, 4.5], [3.5, 5.5]]


def test_more_windows_than_allowed_are_thinned_out_evenly() -> None:
    windows = camera_windows(0.0, 100.0, Parameters(max_clips=3))
    assert windows.tolist() == [[0, 2], [48, 50], [98, 100]]


def test_a_duration_that_lies_costs_no_memory() -> None:
    assert camera_windows(0.0, 1e15, Parameters(clip_seconds=0.01)).shape == (32, 2)


def test_one_frame_fills_every_clip() -> None:
    sampling = sample(np.array([0.0]), 0.04, Parameters())
    assert sampling.frame_indices.tolist() == [0]
    assert sampling.motion_order.tolist() == [0] * 16
    assert sampling.camera_order.tolist() == [0] * 16


def test_a_window_in_which_no_frame_starts_shows_the_one_on_the_screen() -> None:
    sampling = sample(np.array([0.0, 7.0]), 8.0, Parameters())
    clips = sampling.frame_indices[sampling.camera_order].reshape(-1, 16)
    assert clips[:, 0].tolist() == [0, 0, 0, 1]


def test_every_wanted_frame_is_decoded_once_and_none_besides() -> None:
    sampling = sample(timestamps(250, 25), 10.0, Parameters())
    used = np.concatenate([sampling.motion_order, sampling.camera_order])
    assert np.array_equal(np.unique(used), np.arange(len(sampling.frame_indices)))
    assert np.all(np.diff(sampling.frame_indices) > 0)


def test_a_part_is_sampled_as_if_it_were_the_video() -> None:
    whole = timestamps(500, 25)
    part = sample(whole, 20.0, Parameters(start_seconds=5.0, end_seconds=15.0))
    alone = sample(timestamps(250, 25), 10.0, Parameters())
    assert np.array_equal(part.frame_indices, alone.frame_indices + 125)
    assert np.array_equal(part.motion_order, alone.motion_order)
    assert np.allclose(part.clip_seconds, alone.clip_seconds + 5.0)


@pytest.mark.parametrize("start", [0.1, 0.2, 0.7, 1.3, 7.9])
def test_a_whole_number_of_seconds_is_counted_as_one_wherever_it_starts(start: float) -> None:
    alone = sample(start + timestamps(100, 25), 4.0, Parameters())
    part = sample(timestamps(1000, 25), 40.0, Parameters(start_seconds=start, end_seconds=start + 4))
    assert len(alone.motion_order) == 32
    if round(start * 25) == pytest.approx(start * 25):  # a frame starts there
        assert len(part.motion_order) == 32


@pytest.mark.parametrize("first", [0.0, 1.44, 600.0, -2.0, 1e6])
@pytest.mark.parametrize("part", [{"end_seconds": 2.0}, {"start_seconds": 2.0}, {"start_seconds": 3, "end_seconds": 5}])
def test_a_part_may_count_from_the_first_frame_wherever_that_is(first: float, part: dict[str, Any]) -> None:
    plain = sample(timestamps(200, 25), 8.0, Parameters(**part))
    late = sample(first + timestamps(200, 25), 8.0, Parameters(**part, from_first_frame=1))
    assert np.array_equal(late.frame_indices, plain.frame_indices)
    assert np.array_equal(late.motion_order, plain.motion_order)
    assert np.array_equal(late.camera_order, plain.camera_order)
    np.testing.assert_allclose(late.clip_seconds, first + plain.clip_seconds, atol=1e-6)


def test_a_part_is_of_timestamps_unless_the_request_says_otherwise() -> None:
    late = timestamps(15_200, 25)[15_000:]
    part = sample(late, 8.0, Parameters(start_seconds=602.0, end_seconds=604.0))
    assert (part.frame_indices[0], part.frame_indices[-1]) == (50, 99)
    with pytest.raises(InvalidParameter, match=r"and end_seconds 2: the video's frames are from 600 to 607.96 s$"):
        sample(late, 8.0, Parameters(end_seconds=2.0))
    with pytest.raises(InvalidParameter, match=r"start_seconds 9 .* from 0 to 7.96 s, counted from the first one$"):
        sample(late, 8.0, Parameters(start_seconds=9.0, from_first_frame=1))


def test_an_end_after_the_videos_is_the_videos() -> None:
    part = sample(timestamps(250, 25), 10.0, Parameters(end_seconds=99.0))
    assert np.array_equal(part.frame_indices, sample(timestamps(250, 25), 10.0, Parameters()).frame_indices)


def test_a_part_without_frames_is_refused() -> None:
    with pytest.raises(
        InvalidParameter, match=r"no frame lies between start_seconds 11 and end_seconds inf: .* 9.96 s"
    ):
        sample(timestamps(250, 25), 10.0, Parameters(start_seconds=11.0))


@pytest.mark.parametrize(
    ("request_parameters", "message"),
    [
        ({"fpps": 4}, "unknown parameter 'fpps'; the parameters are fps, max_frames"),
        ({"fps": 0}, "fps is 0, it must be a number from 0.01 to 240"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": "fast"}, "fps is 'fast'"),
        ({"fps": True}, "fps is True"),
        ({"max_frames": 497}, "max_frames is 497, it must be a whole number from 1 to 496"),
        ({"max_clips": 2.5}, "max_clips is 2.5"),
        ({"max_clips": 33}, "max_clips is 33, it must be a whole number from 1 to 32"),
        ({"clip_seconds": -2}, "clip_seconds is -2"),
        ({"clip_stride_seconds": 0}, "clip_stride_seconds is 0"),
        ({"start_seconds": -1}, "start_seconds is -1, it must be a number of at least 0"),
        ({"end_seconds": "1e999"}, "end_seconds is '1e999'"),
        ({"from_first_frame": 2}, "from_first_frame is 2, it must be a whole number from 0 to 1"),
        ({"from_first_frame": "yes"}, "from_first_frame is 'yes'"),
        ({"start_seconds": 4, "end_seconds": 4}, "end_seconds is 4, which is not after start_seconds, 4"),
    ],
)
def test_bad_parameters_are_named_with_what_is_allowed(request_parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        Parameters.from_request(request_parameters)
    assert message in str(raised.value)


def test_numbers_may_come_as_text() -> None:
    assert Parameters.from_request({"fps": "2.5", "max_clips": "3"}) == Parameters(fps=2.5, max_clips=3)
