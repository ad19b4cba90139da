"""FFmpeg's filters film a photograph as they are asked to; seen by phase correlation and by fitting."""

import cv2
import numpy as np
import pytest

from training.photographs import FILTERED, SEEN, UNSEEN, film_photograph, photographs


def affine(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(2, 3) the similarity that takes one picture to the other, from tracked corners; origin in the middle."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
    corners = cv2.goodFeaturesToTrack(grey[0], 200, 0.01, 5)
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(*grey, corners, None)
    centre = np.array([160, 90], np.float32)
    fitted, _ = cv2.estimateAffinePartial2D(corners[found == 1] - centre, tracked[found == 1] - centre)
    return fitted


@pytest.mark.parametrize("move", FILTERED)
def test_the_picture_moves_as_its_name_says(move: str):
    speed = 0.0 if move == "static" else 0.2
    frames = list(film_photograph(photographs(unseen=True)[2], move, speed, seconds=1.0))
    assert len(frames) == 24
    assert frames[0].shape == (180, 320, 3)
    fitted = affine(frames[6], frames[18])  # half a second
    scale, turn = np.hypot(fitted[0, 0], fitted[1, 0]), np.arctan2(fitted[1, 0], fitted[0, 0])
    shifts = {"pan_left": (32, 0), "pan_right": (-32, 0), "tilt_up": (0, 18), "tilt_down": (0, -18)}
    expected = shifts.get(move, (0, 0))
    assert fitted[:, 2] == pytest.approx(expected, abs=1.5)
    assert turn == pytest.approx({"roll_left": 0.1, "roll_right": -0.1}.get(move, 0), abs=0.01)
    assert np.log(scale) == pytest.approx({"zoom_in": 0.1, "zoom_out": -0.1}.get(move, 0), abs=0.01)


def test_what_filters_cannot_do_is_named():
    picture = photographs(unseen=True)[0]
    with pytest.raises(ValueError, match="cannot make a dolly_in, only pan_left"):
        list(film_photograph(picture, "dolly_in", 0.2))
    with pytest.raises(ValueError, match="leaves the photograph"):
        list(film_photograph(picture, "pan_left", 3.0))


def test_tests_see_other_photographs_than_training():
    seen, unseen = ({file for files in packages.values() for file in files} for packages in (SEEN, UNSEEN))
    assert not seen & unseen
    assert len(photographs()) == len(seen)
