"""The small networks that come with the project, through a real server, on clips that training never saw.

`python -m training evaluate` asks about 500; the clips here are enough to notice flipped frames, mirrored pictures or
labels in another order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from client import Client, Score
from export.networks import export_networks
from server import Settings, running
from server.demo import FILMED, filmed_photographs
from tests.conftest import copy_repository
from training.encoding import encode
from training.evaluation import evaluate
from training.holdout import SPEEDS, holdout_clips, holdout_photographs
from training.photographs import Picture, film_photograph, photographs

PLAIN = ("pan", "tilt", "roll", "zoom", "static")
WITH_DEPTH = ("truck", "pedestal", "dolly", "arc")
CLIPS = 80


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server with the demo's weights."""
    repository = copy_repository(tmp_path_factory.mktemp("demo") / "model_repository")
    export_networks("demo", "demo", repository, lambda _: None, target="cpu")
    with running(Settings.on_free_ports(repository, precision="f32")) as server, Client(server.url) as client:
        yield client


def film(move: str, photograph: int, speed: float | None = None) -> list[Picture]:
    speeds = SPEEDS[move.partition("_")[0]]
    picture = photographs(unseen=True)[photograph]
    middle = speeds[len(speeds) // 2]
    return list(film_photograph(picture, move, middle if speed is None else speed, frames_per_second=16))


def labels(client: Client, frames: Sequence[Picture]) -> tuple[str, ...]:
    return client.score(encode(frames, 16)).camera[0].labels


def test_the_weights_say_what_they_are(demo: Client):
    weights = demo.score(encode(film("static", 0), 16)).weights
    assert weights.motion == weights.camera == "demo (small networks that learned from rendered clips)"
    assert not weights.stand_in
    assert weights.notice is not None
    assert "small networks" in weights.notice


@pytest.mark.slow
def test_rendered_clips_get_their_labels_and_scores(demo: Client):
    verdict = evaluate([fresh.ask(demo) for fresh in holdout_clips(CLIPS)])
    print(verdict)
    assert np.mean([verdict.found[kind] for kind in PLAIN]) >= 0.85
    assert np.mean([verdict.found[kind] for kind in WITH_DEPTH]) >= 0.7
    assert verdict.too_many <= 0.7
    assert verdict.rank_correlations["camera"] >= 0.9
    assert min(verdict.rank_correlations.values()) >= 0.8


@pytest.mark.slow
def test_photographs_that_filters_move_get_their_labels(demo: Client):
    found = [move in demo.score(video).camera[0].labels for move, video in holdout_photographs(every=4)]
    print(f"{np.mean(found):.1%} of {len(found)}")
    assert np.mean(found) >= 0.9


def test_a_mirrored_clip_swaps_left_and_right(demo: Client):
    for move, other in (("pan_left", "pan_right"), ("roll_left", "roll_right")):
        frames = film(move, 2)
        assert move in labels(demo, frames)
        assert other in labels(demo, [np.ascontiguousarray(frame[:, ::-1]) for frame in frames])


def test_a_clip_played_backwards_is_the_opposite_move(demo: Client):
    for move, other in (("zoom_in", "zoom_out"), ("pan_left", "pan_right"), ("tilt_up", "tilt_down")):
        frames = film(move, 2)
        assert move in labels(demo, frames)
        assert other in labels(demo, frames[::-1])


def test_faster_moves_score_higher(demo: Client):
    def camera_score(speed: float) -> float:
        score: Score = demo.score(encode(film("pan_right", 2, speed), 16))
        return score.motion.camera_movement_score

    slow, faster, fast = (camera_score(speed) for speed in (0.0, 0.1, 0.4))
    assert slow < 0.5
    assert slow + 0.3 < faster < fast - 0.3


def test_the_demos_own_clip_is_labelled_as_it_was_filmed(demo: Client):
    clips = demo.score(filmed_photographs()).camera
    for clip, (move, _) in zip(clips, FILMED, strict=True):
        assert move in clip.labels


def test_the_weights_are_small():
    for path in (Path(__file__).parent.parent / "export" / "demo").glob("*/model.safetensors"):
        assert path.stat().st_size < 12_000_000
