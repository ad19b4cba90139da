"""Scores in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client._phrases.describe import CUTOFFS, MAX_STAGES
from client._phrases.english import ENGLISH
from client._phrases.stages import OPPOSITES
from client._sdk.result import CameraClip, MotionScores, Score, VideoInfo, Weights
from client.phrases import describe, describe_row, strength

LABELS = (*ENGLISH.moves, "pov", "undefined")
STILL = (0.0, 0.0, 0.0)


def row(*labels: str, scores: tuple[float, float, float] = STILL) -> dict[str, object]:
    """A row of JSON lines whose clips of 2 s have these labels, separated by spaces, most probable first."""
    camera, objects, dynamics = scores
    clips = [
        {"start_seconds": 2.0 * index, "end_seconds": 2.0 * index + 2, "labels": text.split()}
        for index, text in enumerate(labels)
    ]
    motion = {"camera_movement_score": camera, "object_movement_score": objects, "dynamics_score": dynamics}
    return {"video": "video.mp4", "camera": clips, "motion": motion}


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["pan_left"], "the camera pans left"),
        (["pan_left", "pan_left"], "the camera pans left"),
        (["pan_left", "zoom_in"], "the camera pans left, then zooms in"),
        (["pan_left", "pan_right"], "the camera pans left, then right"),
        (["pan_left", "pan_right", "tilt_up"], "the camera pans left, then right, then tilts up"),
        (["pan_left tilt_up"], "the camera pans left and tilts up"),
        (["tilt_up pan_left", "pan_left tilt_up"], "the camera tilts up and pans left"),
        (["pan_left tilt_up zoom_in"], "the camera pans left, tilts up and zooms in"),
        (
            ["pan_left", "pan_left zoom_in", "zoom_in"],
            "the camera pans left, then also zooms in, then only zooms in",
        ),
        (["shake", "shake dolly_in"], "the camera shakes, then also moves forward"),
        (["track shake pan_left", "shake"], "the camera follows the subject, shakes and pans left, then only shakes"),
        (["static"], "the camera stays still"),
        (["static", "pan_left"], "the camera stays still, then pans left"),
        (["pan_left", "", "zoom_out"], "the camera pans left, then zooms out"),
        (["pan_left", "undefined", "pan_left"], "the camera pans left"),
        (["pan_left pan_right"], "the camera pans left"),
        (["pan_right pan_left"], "the camera pans right"),
        (["static zoom_in"], "the camera zooms in"),
        (["dolly_in"], "the camera moves forward"),
        (["dolly_out", "truck_left"], "the camera moves back, then left"),
        (["pedestal_up"], "the camera moves up"),
        (["arc_right"], "the camera arcs right around the subject"),
        (["roll_left"], "the camera rolls counter-clockwise"),
        (["track"], "the camera follows the subject"),
        (["shake"], "the camera shakes"),
        (["track shake"], "the camera follows the subject and shakes"),
        (["pov"], "the shot shows what a person in the scene sees"),
        (["pan_left pov"], "the camera pans left; the shot shows what a person in the scene sees"),
        (["undefined"], ""),
        ([""], ""),
        ([], ""),
        (
            ["pan_left", "zoom_in", "tilt_up", "pan_left", "zoom_out"],
            "the camera moves in several ways: it pans left, zooms in, tilts up and zooms out",
        ),
        (["pan_left", "static"] * 3, "the camera pans left, with pauses"),
        (["flies_away"], ""),
    ],
)
def test_the_sentence_of_a_row(labels: list[str], sentence: str) -> None:
    said = describe_row(row(*labels)).sentence
    subject = "the subject hardly moves"
    assert said == (f"{sentence}; {subject}" if sentence else subject)


@pytest.mark.parametrize(
    ("scores", "sentence", "short"),
    [
        ((0.0, 0.49, 0.0), "the subject hardly moves", "none"),
        ((0.0, 0.5, 0.0), "the subject moves a little", "low"),
        ((0.0, 1.0, 0.0), "the subject moves", "medium"),
        ((0.0, 2.0, 0.0), "the subject moves strongly", "high"),
        ((2.1, 0.2, 0.0), "the subject hardly moves", "high"),
        ((0.0, 0.0, 2.0), "the subject hardly moves; the light, colour or focus changes strongly", "none"),
    ],
)
def test_strength_has_words_and_cutoffs(scores: tuple[float, float, float], sentence: str, short: str) -> None:
    phrases = describe_row(row(scores=scores))
    assert phrases.sentence == sentence
    assert phrases.short == f"motion strength: {short}"


def test_the_short_form_lists_each_move_once() -> None:
    said = describe_row(row("pan_left", "zoom_in", "pan_left", "flies_away pov", scores=(2.4, 0.3, 0.1))).short
    assert said == "camera motion: pan left, zoom in, flies away, pov; motion strength: high"


def test_rows_of_a_table_and_scores_say_the_same() -> None:
    nested = row("pan_left", "zoom_in", scores=(1.2, 2.5, 0.3))
    motion = nested["motion"]
    assert isinstance(motion, dict)
    table = {"video": "video.mp4", "clips": nested["camera"], "error": None, **motion}
    clips = tuple(
        CameraClip(2.0 * index, 2.0 * index + 2, {"pan_left": 0.1, "zoom_in": 0.1} | {label: 0.5})
        for index, label in enumerate(("pan_left", "zoom_in"))
    )
    info = VideoInfo(4.0, 100, 25.0, 64, 48)
    score = Score(MotionScores(1.2, 2.5, 0.3), clips, info, Weights("random:0", "random:0", ("pan_left", "zoom_in")))
    expected = "the camera pans left, then zooms in; the subject moves strongly"
    assert [describe_row(nested).sentence, describe_row(table).sentence, describe(score).sentence] == [expected] * 3
    assert describe_row(nested) == describe_row(table) == describe(score)


@pytest.mark.parametrize(
    "failed",
    [
        {"video": "video.mp4", "error": "the file is empty"},
        {"video": "video.mp4", "error": "the file is empty", "clips": None, "camera_movement_score": None},
        {"video": "video.mp4", "clips": None, "object_movement_score": math.nan, "dynamics_score": math.nan},
    ],
)
def test_a_video_without_scores_has_no_words(failed: dict[str, object]) -> None:
    assert describe_row(failed).sentence == ""
    assert describe_row(failed).short == ""


@given(
    st.lists(st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1), min_size=1), max_size=8),
    st.tuples(*[st.floats(0, 3)] * 3),
)
def test_nothing_below_the_threshold_is_ever_said(
    probabilities: list[dict[str, float]], scores: tuple[float, float, float]
) -> None:
    clips = tuple(CameraClip(2.0 * i, 2.0 * i + 2, clip) for i, clip in enumerate(probabilities))
    score = Score(MotionScores(*scores), clips, VideoInfo(1, 1, 1, 1, 1), Weights("", "", LABELS))
    phrases = describe(score)
    sure = {label for clip in probabilities for label, probability in clip.items() if probability >= 0.5}
    camera = phrases.sentence.split("; ")[0]
    for label, (verb, rest) in ENGLISH.moves.items():
        if label in sure:
            continue
        assert label.replace("_", " ") not in phrases.short
        mentioned = any(
            f"{verb} {rest}".strip() == f"{v} {r}".strip() for known, (v, r) in ENGLISH.moves.items() if known in sure
        )
        if not mentioned and rest:
            assert f"{verb} {rest}" not in camera
    for one, other in OPPOSITES:
        for stage in camera.removeprefix("the camera ").split(", then "):
            if camera.count(", then ") < MAX_STAGES and "several ways" not in camera:
                assert not all(" ".join(ENGLISH.moves[label]) in stage for label in (one, other))
    assert ("hardly" in phrases.sentence) == (scores[1] < CUTOFFS["low"])


def test_strength_is_by_the_cutoffs() -> None:
    assert [strength(score) for score in (0, 0.4999, 0.5, 0.99, 1, 1.99, 2, 3)] == [
        *("none", "none", "low", "low", "medium", "medium", "high", "high")
    ]
