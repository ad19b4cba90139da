"""FFmpeg's filters move photographs as requested; the motion is measured by tracking corners."""

import cv2
import numpy as np
import pytest

from training.photographs import FILTER_MOVES, SEEN, UNSEEN, animate_photograph, photographs


def affine(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(2, 3) the similarity transform between two frames, from tracked corners; the origin is the middle."""
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    corners = cv2.goodFeaturesToTrack(first, 200, 0.01, 5)
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None)
    centre = np.array([160, 90], np.float32)
    fitted, _ = cv2.estimateAffinePartial2D(corners[found == 1] - centre, tracked[found == 1] - centre)
    return fitted


QUICK_MOVES = ("zoom_in", "roll_left")


@pytest.mark.parametrize(
    "move", [pytest.param(move, marks=[pytest.mark.slow] * (move not in QUICK_MOVES)) for move in FILTER_MOVES]
)
def test_the_picture_moves_as_its_label_says(move: str) -> None:
    speed = 0.0 if move == "static" else 0.2
    frames = list(animate_photograph(photographs(unseen=True)[2], move, speed, seconds=1.0))
    assert len(frames) == 24
    assert frames[0].shape == (180, 320, 3)
    fitted = affine(frames[6], frames[18])  # half a second
    scale, turn = np.hypot(fitted[0, 0], fitted[1, 0]), np.arctan2(fitted[1, 0], fitted[0, 0])
    shifts = {"pan_left": (32, 0), "pan_right": (-32, 0), "tilt_up": (0, 18), "tilt_down": (0, -18)}
    expected = shifts.get(move, (0, 0))
    assert fitted[:, 2] == pytest.approx(expected, abs=1.5)
    assert turn == pytest.approx({"roll_left": 0.1, "roll_right": -0.1}.get(move, 0), abs=0.01)
    assert np.log(scale) == pytest.approx({"zoom_in": 0.1, "zoom_out": -0.1}.get(move, 0), abs=0.01)


def test_an_unsupported_move_is_an_error() -> None:
    picture = photographs(unseen=True)[0]
    with pytest.raises(ValueError, match="cannot make a dolly_in, only pan_left"):
        list(animate_photograph(picture, "dolly_in", 0.2))
    with pytest.raises(ValueError, match="leaves the photograph"):
        list(animate_photograph(picture, "pan_left", 3.0))


def test_tests_and_training_use_different_photographs() -> None:
    seen, unseen = ({file for files in packages.values() for file in files} for packages in (SEEN, UNSEEN))
    assert seen
    assert unseen
    assert not seen & unseen
    assert len(photographs()) == len(seen)
