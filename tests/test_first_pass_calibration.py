"""Thresholds of a first pass from a table: what they keep, what is stated, what is refused; without a server."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from client.__main__ import main as video_motion
from client._commands import first_pass as command
from client._first_pass.calibration import LEAST_MOVING, Examples, calibrate, choose, figures
from client._first_pass.collect import collect
from client._first_pass.errors import FirstPassError
from client._first_pass.part import WHOLE, Part
from client._first_pass.proportion import wilson
from client._first_pass.thresholds import Thresholds, read_thresholds
from client._tables.row import FIRST_PASS_COLUMNS
from client._tables.table import read_metadata
from fixtures.score_tables import write_scores
from fixtures.still import still_and_moving

STILL, MOVES = (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)
Row = tuple[bool, float, float, float]
"""Whether a video moves, its change, its share of black and of frozen pictures."""


def examples(rows: list[Row]) -> Examples:
    names = tuple(f"{index:05}.mp4" for index in range(len(rows)))
    measures = np.array([row[1:] for row in rows], np.float64)
    return Examples(names, measures, np.array([row[0] for row in rows], np.bool_))


def drawn(count: int, seed: int = 0) -> list[Row]:
    """Videos of which a tenth of those that stand still change as much as some of those that move."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        moves = bool(rng.random() < 0.6)
        change = float(np.exp(rng.normal(3.0, 0.9) if moves else rng.normal(0.0, 0.9)))
        rows.append((moves, change, 0.0, 1.0 if change < 0.5 and not moves else 0.3))
    return rows


def test_the_interval_is_that_of_wilson() -> None:
    # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I.
    for successes, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20)[1] == 1
    assert wilson(0, 0) == (0, 1)


def test_the_largest_change_below_the_first_loss_is_chosen() -> None:
    still = [(False, change, 0.0, 0.0) for change in (0.5, 1.0, 2.0, 4.0)]
    moving = [(True, change, 0.0, 0.0) for change in (3.0, 5.0, 9.0)]
    assert choose(examples(still + moving), 0) == Thresholds(2.0, 1.0, 1.0)
    assert choose(examples(still + moving), 1) == Thresholds(4.0, 1.0, 1.0)
    assert choose(examples([(False, 4.0, 0.0, 0.0), *moving]), 0) is None


def test_shares_are_chosen_only_where_they_skip_more() -> None:
    rows = [(False, 1.0, 0.0, 0.2), (False, 50.0, 0.97, 0.2), (False, 60.0, 0.0, 0.99), (True, 5.0, 0.5, 0.9)]
    assert choose(examples(rows), 0) == Thresholds(1.0, 0.98, 0.95)


def test_what_could_not_be_looked_at_is_never_skipped() -> None:
    nan = float("nan")
    some = examples([(False, nan, nan, nan), (True, nan, nan, nan), (False, 1.0, 0.0, 1.0)])
    assert some.skipped(Thresholds(255.0, 0.0, 0.0)).tolist() == [False, False, True]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(200, 600), st.sampled_from([0.9, 0.99]))
def test_the_held_out_half_never_loses_more_than_is_stated(seed: int, count: int, recall: float) -> None:
    all_of_them = examples(drawn(count, seed))
    try:
        found = calibrate(all_of_them, recall)
    except FirstPassError:
        return
    held_out = found.held_out
    assert held_out.moving >= LEAST_MOVING
    assert held_out.lost <= (1 - recall) * held_out.moving
    assert held_out.recall >= recall - 1e-12
    assert held_out.interval[0] < held_out.recall <= held_out.interval[1]
    assert figures(all_of_them, found.thresholds).lost == found.chosen_on.lost + held_out.lost
    assert found.chosen_on.videos + held_out.videos == count


def test_most_calibrations_succeed() -> None:
    """Or the test above would say nothing."""
    savings = []
    for seed in range(12):
        with contextlib.suppress(FirstPassError):
            savings.append(calibrate(examples(drawn(600, seed)), 0.95).held_out.saving)
    assert len(savings) >= 9
    assert min(savings) > 0.2


def test_black_and_frozen_videos_that_score_as_moving_stop_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Networks find motion in the noise of a black video: it is skipped, and counted apart."""
    rows = drawn(600) + [(True, 1.0, 1.0, 1.0)] * 40 + [(True, 0.5, 0.0, 1.0)] * 20
    scores = table(tmp_path / "scores.parquet", rows)
    assert command.main(["calibrate", str(scores), "--recall", "0.95", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    without = calibrate(examples(drawn(600)), 0.95)
    assert said["thresholds"]["black_share"] is not None
    assert said["thresholds"]["frozen_share"] is not None
    calibration = said["calibration"]
    assert (calibration["black_with_scores_that_move"], calibration["frozen_with_scores_that_move"]) == (40, 20)
    moving = [calibration[half]["moving"] for half in ("chosen_on", "held_out")]
    assert sum(moving) == without.chosen_on.moving + without.held_out.moving
    assert command.main(["calibrate", str(scores), "--recall", "0.95", "--format", "table"]) == 0
    sentence = "40 black and 20 frozen videos have scores of videos that move; they count as standing still"
    assert sentence in capsys.readouterr().out


def test_the_halves_depend_neither_on_the_folder_nor_on_the_order() -> None:
    some = examples(drawn(600))
    found = calibrate(some, 0.95)
    assert 240 < found.chosen_on.videos < 360
    for folder in ("/data/set/", "https://host/a/", "0/"):
        moved = replace(some, videos=tuple(folder + name for name in some.videos))
        assert calibrate(moved, 0.95) == found
    order = np.random.default_rng(1).permutation(600)
    turned = Examples(tuple(some.videos[index] for index in order), some.measures[order], some.moving[order])
    assert calibrate(turned, 0.95) == found
    # Videos of one name in folders of their own are in both halves, parts of one video in the same.
    apart = replace(some, videos=tuple(f"/data/{name}/video.mp4" for name in some.videos))
    assert 240 < calibrate(apart, 0.95).chosen_on.videos < 360
    with pytest.raises(FirstPassError, match="one half of the videos has 0"):
        calibrate(replace(some, videos=("/data/video.mp4",) * 600), 0.95)


@pytest.mark.parametrize("video", ["https://a.example/v.mp4", "shards/0.tar/v.mp4"])
def test_a_video_that_cannot_be_looked_at_where_it_is_says_what_to_do(
    video: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = table(tmp_path / "scores.parquet", drawn(1), measures=False, video=[video])
    assert command.main(["calibrate", str(scores)]) == 1
    assert f"{video} is behind a URL or in a shard" in (err := capsys.readouterr().err)
    assert "score the videos with --first-pass measure" in err


def test_a_held_out_half_that_loses_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # The videos that move, and look still, are all in the other half.
    monkeypatch.setattr("client._first_pass.calibration._is_in_first", lambda video: int(video[:5]) % 2 == 0)
    rows: list[Row] = []
    for index in range(200):
        rows.append((False, 1.0, 0.0, 0.0) if index % 4 < 2 else (True, 0.5 if index % 40 == 3 else 30.0, 0.0, 0.0))
    with pytest.raises(FirstPassError) as raised:
        calibrate(examples(rows), 0.99)
    assert str(raised.value) == (
        "thresholds that keep 99.0% of one half keep 90.0% of the other one (45 of 50): calibrate on more videos, or "
        "ask for less with --recall"
    )


def test_too_few_videos_that_move_are_refused() -> None:
    with pytest.raises(FirstPassError, match=r"one half of the videos has \d+ whose scores are above .* takes 50"):
        calibrate(examples(drawn(100)), 0.99)
    with pytest.raises(FirstPassError, match="nothing can be skipped"):
        calibrate(examples([(True, 10.0, 0.0, 0.0)] * 200), 0.99)


# The command


def table(path: Path, rows: list[Row], *, measures: bool = True, **columns: Any) -> Path:
    write_scores(path, [MOVES if row[0] else STILL for row in rows])
    content = parquet.read_table(path)
    if measures:
        for column, name in enumerate(FIRST_PASS_COLUMNS, 1):
            content = content.append_column(name, pa.array([row[column] for row in rows], pa.float32()))
    for name, values in columns.items():
        content = content.set_column(content.column_names.index(name), name, pa.array(values))
    parquet.write_table(content, path)
    return path


def test_the_command_writes_thresholds_and_states_the_recall(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, output = table(tmp_path / "scores.parquet", drawn(600)), tmp_path / "t.json"
    arguments = ["first-pass", "calibrate", str(scores), "--recall", "0.95", "--output", str(output)]
    assert video_motion([*arguments, "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    held_out = said["calibration"]["held_out"]
    assert held_out["recall"] == 1 - held_out["lost"] / held_out["moving"] >= 0.95
    assert held_out["interval"] == list(wilson(held_out["moving"] - held_out["lost"], held_out["moving"]))
    assert held_out["saving"] > 0.2
    assert said["calibration"]["looked_at"] == 0
    assert said["calibration"]["weights"]["motion"] == "made@1"
    assert vars(read_thresholds(output)) == said["thresholds"]
    assert json.loads(output.read_text())["calibration"] == said["calibration"]
    assert video_motion([*arguments, "--format", "table"]) == 0
    shown = capsys.readouterr().out
    assert f"{held_out['recall']:.2%} ({held_out['interval'][0]:.2%} to" in shown
    assert f"wrote {output}" in shown


def test_videos_are_looked_at_where_the_table_has_no_measures(tmp_path: Path) -> None:
    names = [f"{index}.mp4" for index in range(4)]
    for name in names:
        (tmp_path / name).touch()
    rows: list[Row] = [(True, 9.0, 0.0, 0.0), (False, 1.0, 0.0, 1.0)] * 2
    scores = table(tmp_path / "scores.parquet", rows, measures=False, video=names, end_seconds=[None, None, 2.0, None])
    asked: list[tuple[str, Part]] = []

    def look(path: str, part: Part) -> tuple[float, float, float]:
        asked.append((path, part))
        return (float("nan"),) * 3 if path.endswith("3.mp4") else (float(path[-5]), 0.0, 1.0)

    found, looked_at, unseen = collect(scores, read_metadata(scores), look, 2)
    assert (looked_at, unseen) == (4, 1)
    assert sorted(asked) == sorted(
        (str(tmp_path / name), Part(None, 2.0, False) if name == "2.mp4" else WHOLE) for name in names
    )
    assert found.change.tolist()[:3] == [0.0, 1.0, 2.0]
    assert found.moving.tolist() == [True, False, True, False]
    (tmp_path / "1.mp4").unlink()
    with pytest.raises(FirstPassError, match=r"1\.mp4 is not where the table says, and the table has no measures"):
        collect(scores, read_metadata(scores), look, 1)


def test_the_command_looks_at_the_videos_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, video in still_and_moving().items():
        (tmp_path / f"{name}.mp4").write_bytes(video)
    (tmp_path / "none.mp4").write_bytes(b"no video")
    names = ["frozen.mp4", "none.mp4", "pan.mp4"]
    rows: list[Row] = [(False, 0.0, 0.0, 1.0), (True, 0.0, 0.0, 1.0), (True, 0.0, 0.0, 0.0)]
    scores = table(tmp_path / "scores.parquet", rows, measures=False, video=names)
    assert command.main(["calibrate", str(scores), "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'none.mp4'}: it cannot be decoded: " in said
    assert "one half of the videos has" in said


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--recall", "1"], "--recall is 1, it must be at least 0.5 and below 1"),
        (["--recall", "0.2"], "--recall is 0.2, it must be"),
        (["--output", "t.txt"], "--output t.txt must end in .json"),
        (["--jobs", "0"], "--jobs is 0, it must be at least 1"),
    ],
)
def test_wrong_options_are_refused(
    options: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        command.main(["calibrate", str(tmp_path / "scores.parquet"), *options])
    assert raised.value.code == 2
    assert why in capsys.readouterr().err


def test_wrong_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["calibrate", str(tmp_path / "none.parquet")]) == 1
    assert "cannot read" in capsys.readouterr().err
    rows = drawn(10)
    skipped = table(tmp_path / "skipped.parquet", rows, skipped_by=["static", *[None] * 9])
    assert command.main(["calibrate", str(skipped)]) == 1
    assert "that a first pass skipped, or more: calibration needs the scores of all" in capsys.readouterr().err
    output = tmp_path / "nowhere" / "t.json"
    scores = table(tmp_path / "scores.parquet", drawn(600))
    assert command.main(["calibrate", str(scores), "--recall", "0.95", "--output", str(output)]) == 1
    assert f"cannot write {output}: No such file or directory" in capsys.readouterr().err
