"""`bench.verdicts` and `bench.learned`: their figures, and small runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.learned import ANSWERS, Answered, draw
from bench.learned import main as learned_main
from bench.verdicts.__main__ import main as verdicts_main
from bench.verdicts.clips import KINDS, Stage, read_truth, write_clips
from bench.verdicts.figures import Share, best_cutoffs, f1, precision, recall
from client._tables.presets import Limit, Preset
from client._tables.verdicts import ALL_PRESETS, VERDICTS
from fixtures.rendered import encode_pictures
from server import Server
from training.scene import TexturePool

pytestmark = [pytest.mark.heavy, pytest.mark.slow]


def test_precision_and_recall_are_of_what_is_taken_and_of_what_is_true() -> None:
    taken, truth = np.array([True, True, True, False, False]), np.array([True, True, False, True, False])
    assert precision(taken, truth) == Share(2, 3)
    assert recall(taken, truth) == Share(2, 3)
    assert f1(taken, truth) == pytest.approx(2 / 3)
    assert Share(8, 10).interval() == pytest.approx((0.490, 0.943), abs=1e-3)  # Wilson's, from statistical tables
    assert str(Share(0, 0)) == "-"


def test_the_best_cutoffs_are_those_of_the_rule() -> None:
    random = np.random.default_rng(0)
    values = {name: random.uniform(0, 1, 2000).astype(np.float32) for name in ("a", "b")}
    truth = (values["a"] > np.float32(0.3)) & (values["b"] < np.float32(0.6))
    found = best_cutoffs(Preset("rule", "", (Limit("a", "above", 0.9), Limit("b", "below", 0.1))), values, truth)
    assert [limit.cutoff for limit in found.limits] == pytest.approx([0.3, 0.6], abs=0.02)


def test_a_learned_filter_beats_the_best_threshold_of_the_same_answers() -> None:
    random = np.random.default_rng(1)
    features = random.uniform(0, 1, (1000, 6)).astype(np.float32)
    good = (features[:, 0] > 0.3) & (features[:, 1] < 0.7) & (features[:, 2] > 0.25)
    made = draw(Answered(features, [f"f{index}" for index in range(6)], good), 0)
    assert ANSWERS == 100
    assert made.learned > made.simple
    assert made.rule.startswith("f")


def test_every_kind_is_what_it_is_called() -> None:
    for name, kind in KINDS.items():
        rng = np.random.default_rng([5, len(name)])
        made = kind(Stage(rng, TexturePool.draw(rng, 6, unseen=True), 12, (240, 136)))
        frames = np.stack([frame.copy() for frame in made.frames])
        assert frames.shape[1:] == (136, 240, 3)
        assert len(frames) == 36, name
        assert made.truth <= {*ALL_PRESETS}
        assert ("black" in made.truth) == (frames.max() <= 25)
        same = (frames[1:] == frames[:-1]).all(axis=(1, 2, 3))
        assert ("frozen" in made.truth) == bool(same.all()), name
        assert encode_pictures(list(frames), 12)


def test_a_small_run_prints_the_figures_of_every_preset(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdicts_main(["--clips", "2", "--directory", str(tmp_path), "--url", server.url]) == 0
    out = capsys.readouterr().out
    assert f"{len(KINDS)} clips, 1 of each kind" in out
    for name in ALL_PRESETS:
        assert f"| `{name}` |" in out
    (line,) = [each for each in out.splitlines() if each.startswith("| `black` |")]
    assert line.count("1.00 (") == 2, line  # right for one clip of each kind, too
    truth = read_truth(tmp_path / "clips" / "truth.jsonl")
    assert {verdict for each in truth for verdict in each.verdicts} == {*ALL_PRESETS} >= {*VERDICTS}
    assert write_clips(tmp_path / "clips", 2) == truth  # none is rendered again


@pytest.mark.parametrize("main", [verdicts_main, learned_main])
def test_a_folder_of_another_run_is_refused(
    main: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.jsonl").write_text("{}\n")
    with pytest.raises(SystemExit, match="2"):
        main(["--directory", str(tmp_path)])
    assert f"{tmp_path} is of a run with other code and networks and packages: delete it" in capsys.readouterr().err
    assert not (tmp_path / "clips").exists()


def test_a_small_run_of_the_learned_filter(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = learned_main(["--clips", "200", "--draws", "2", "--directory", str(tmp_path), "--url", server.url])
    out = capsys.readouterr().out
    assert "| learned filter |" in out
    assert "of 200 clips are good" in out
    assert status in (0, 1)  # the networks of the test are random: the move cannot be told
