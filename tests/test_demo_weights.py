"""The small bundled networks, in a real server, on clips that training never saw.

`python -m training evaluate` uses 500 clips; those here are enough to notice reversed frames, mirrored pictures or
labels in another order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from client import Client, Score
from server import Settings, running
from server.demo import CLIP_MOVES, moving_photographs
from tests.conftest import copy_repository
from training.encoding import encode
from training.evaluation import evaluate
from training.holdout import SPEEDS, holdout_clips, holdout_photographs
from training.photographs import Picture, animate_photograph, photographs

PLAIN = ("pan", "tilt", "roll", "zoom", "static")
WITH_DEPTH = ("truck", "pedestal", "dolly", "arc")
CLIPS = 80


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server with the demo's weights."""
    from export.networks import export_networks  # imports torch, which takes seconds

    repository = copy_repository(tmp_path_factory.mktemp("demo") / "model_repository")
    export_networks("demo", "demo", repository, lambda _: None, target="cpu")
    with running(Settings.on_free_ports(repository, precision="f32")) as server, Client(server.url) as client:
        yield client


def animate(move: str, photograph: int, speed: float | None = None) -> list[Picture]:
    speeds = SPEEDS[move.partition("_")[0]]
    picture = photographs(unseen=True)[photograph]
    middle = speeds[len(speeds) // 2]
    return list(animate_photograph(picture, move, middle if speed is None else speed, frames_per_second=16))


def labels(client: Client, frames: Sequence[Picture]) -> list[str]:
    return client.score(encode(frames, 16)).camera[0].labels


@pytest.mark.slow
def test_the_weights_say_what_they_are(demo: Client) -> None:
    weights = demo.score(encode(animate("static", 0), 16)).weights
    assert weights.motion == weights.camera == "demo (small networks that learned from rendered clips)"
    assert not weights.stand_in
    assert weights.notice is not None
    assert "small demo networks" in weights.notice


@pytest.mark.slow
def test_rendered_clips_get_their_labels_and_scores(demo: Client) -> None:
    evaluation = evaluate([clip.ask(demo) for clip in holdout_clips(CLIPS)])
    print(evaluation)
    assert np.mean([evaluation.found[kind] for kind in PLAIN]) >= 0.85
    assert np.mean([evaluation.found[kind] for kind in WITH_DEPTH]) >= 0.7
    assert evaluation.too_many <= 0.7
    assert evaluation.rank_correlations["camera"] >= 0.9
    assert min(evaluation.rank_correlations.values()) >= 0.8


@pytest.mark.slow
def test_moving_photographs_get_their_labels(demo: Client) -> None:
    found = [label in demo.score(video).camera[0].labels for label, video in holdout_photographs(every=4)]
    print(f"{np.mean(found):.1%} of {len(found)}")
    assert np.mean(found) >= 0.9


@pytest.mark.slow
def test_a_mirrored_clip_swaps_left_and_right(demo: Client) -> None:
    for move, other in (("pan_left", "pan_right"), ("roll_left", "roll_right")):
        frames = animate(move, 2)
        assert move in labels(demo, frames)
        assert other in labels(demo, [np.ascontiguousarray(frame[:, ::-1]) for frame in frames])


@pytest.mark.slow
def test_a_reversed_clip_shows_the_opposite_move(demo: Client) -> None:
    for move, other in (("zoom_in", "zoom_out"), ("pan_left", "pan_right"), ("tilt_up", "tilt_down")):
        frames = animate(move, 2)
        assert move in labels(demo, frames)
        assert other in labels(demo, frames[::-1])


@pytest.mark.slow
def test_faster_moves_score_higher(demo: Client) -> None:
    def camera_score(speed: float) -> float:
        score: Score = demo.score(encode(animate("pan_right", 2, speed), 16))
        return score.motion.camera_movement_score

    slow, faster, fast = (camera_score(speed) for speed in (0.0, 0.1, 0.4))
    assert slow < 0.5
    assert slow + 0.3 < faster < fast - 0.3


@pytest.mark.slow
def test_the_clip_of_the_demo_gets_its_labels(demo: Client) -> None:
    clips = demo.score(moving_photographs()).camera
    for clip, (move, _) in zip(clips, CLIP_MOVES, strict=True):
        assert move in clip.labels


def test_the_weights_are_small() -> None:
    for network in ("motion", "camera"):
        path = Path(__file__).parent.parent / "export" / "demo" / network / "model.safetensors"
        assert 1_000_000 < path.stat().st_size < 12_000_000
