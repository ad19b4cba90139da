"""The command `summary`: one set of videos, or two compared."""

import json
import statistics
from pathlib import Path

import pytest

from client._commands.summary import main
from client._tables.table import Metadata
from fixtures.score_tables import METADATA, write_realistic_scores, write_scores

FIRST: list[tuple[float, float, float] | str] = [(0.1, 0.2, 0.3), (1.1, 0.4, 0.3), (2.9, 0.6, 2.9), "the file is empty"]
CLIPS: list[list[tuple[float, float, list[str]]]] = [
    [(0.0, 2.0, ["pan_left"]), (2.0, 4.0, ["pan_left", "pov"])],
    [(0.0, 2.0, ["static"])],
    [(0.0, 2.0, [])],
    [],
]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_scores(tmp_path / "a.parquet", FIRST, clips=CLIPS)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write_scores(tmp_path / "b.parquet", [(1.0, 1.0, 1.0), (1.5, 1.0, 1.0)])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_one_set_is_counted_and_described(first: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, first)
    assert (status, err) == (0, "")
    content = json.loads(out)
    assert list(content) == ["sets"]
    (summary,) = content["sets"]
    assert (summary["videos"], summary["failed"], summary["clips"]) == (4, 1, 4)
    camera = summary["scores"]["camera_movement_score"]
    assert camera["mean"] == pytest.approx(4.1 / 3, abs=1e-6)
    assert camera["median"] == pytest.approx(1.1, abs=1e-6)
    assert camera["sd"] == pytest.approx(statistics.stdev([0.1, 1.1, 2.9]), abs=1e-5)
    assert summary["label_share_of_videos"] == pytest.approx({"pan_left": 1 / 3, "pov": 1 / 3, "static": 1 / 3})
    assert summary["label_share_of_clips"] == pytest.approx({"pan_left": 0.5, "pov": 0.25, "static": 0.25})
    assert summary["preset_share"] == pytest.approx({"static": 1 / 3, "chaotic": 1 / 3, "slideshow": 0})
    assert summary["weights"] == METADATA.weights


def test_two_sets_are_compared(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(run(capsys, first, second)[1])
    camera = content["difference"]["scores"]["camera_movement_score"]
    assert camera["mean"] == pytest.approx(1.25 - 4.1 / 3, abs=1e-5)
    assert camera["median"] == pytest.approx(0.15, abs=1e-5)
    sd_first, sd_second = statistics.stdev([0.1, 1.1, 2.9]), statistics.stdev([1.0, 1.5])
    assert camera["mean_confidence_95"] == pytest.approx(1.96 * (sd_first**2 / 3 + sd_second**2 / 2) ** 0.5, abs=1e-4)
    shares = content["difference"]["label_share_of_videos"]
    assert shares == pytest.approx({"pan_left": -1 / 3, "pov": -1 / 3, "static": 2 / 3})


def test_a_person_reads_both_side_by_side(first: Path, second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, first, second, "--format", "table")[1].splitlines()
    assert lines[0] == f"a  {first}   4 videos, 1 failed, 4 clips"
    assert lines[1] == f"b  {second}   2 videos, 0 failed, 2 clips"
    assert "camera median             1.100    1.250   +0.150" in lines
    assert "  static                 33.3 %  100.0 %  +66.7 %" in lines


def test_each_video_has_its_intervals(first: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = [json.loads(line) for line in run(capsys, first, "--per-video")[1].splitlines()]
    assert objects[0]["intervals"] == [
        {"label": "pan_left", "start_seconds": 0.0, "end_seconds": 4.0},
        {"label": "pov", "start_seconds": 2.0, "end_seconds": 4.0},
    ]
    assert objects[0]["label_seconds"] == {"pan_left": 4.0, "pov": 2.0}
    assert objects[0]["motion"]["camera_movement_score"] == 0.1
    assert objects[3] == {"video": "videos/0000003.mp4", "error": "the file is empty", "reason": "empty"}
    assert run(capsys, first, "--per-video", "--format", "table")[1].splitlines() == [
        "videos/0000000.mp4  camera 0.100   object 0.200   dynamics 0.300   pan_left 0.0-4.0 s, pov 2.0-4.0 s",
        "videos/0000001.mp4  camera 1.100   object 0.400   dynamics 0.300   static 0.0-2.0 s",
        "videos/0000002.mp4  camera 2.900   object 0.600   dynamics 2.900   no camera label",
        "videos/0000003.mp4  failed: the file is empty",
    ]


def test_a_set_without_scored_videos_has_no_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = write_scores(tmp_path / "n.parquet", ["the file is empty"])
    one = write_scores(tmp_path / "o.parquet", [(1.0, 1.0, 1.0)])
    content = json.loads(run(capsys, nothing, one)[1])
    assert content["sets"][0]["scores"]["camera_movement_score"]["mean"] is None
    assert content["sets"][0]["label_share_of_videos"] == {}
    assert content["sets"][1]["scores"]["camera_movement_score"]["sd"] is None
    assert content["difference"]["scores"]["dynamics_score"]["mean_confidence_95"] is None
    assert run(capsys, nothing, one, "--format", "table")[0] == 0


def test_a_person_reads_hyphens_for_figures_that_do_not_exist(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = write_scores(tmp_path / "none.parquet", ["the file is empty"])
    status, out, _ = run(capsys, first, failed, "--format", "table")
    assert status == 0
    (mean,) = [line for line in out.splitlines() if line.startswith("camera mean")]
    assert mean.split() == ["camera", "mean", "1.367", "-", "-"]
    assert "nan" not in out


def test_sets_of_different_weights_are_said_to_be(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_scores(
        tmp_path / "o.parquet",
        [(1.0, 1.0, 1.0)],
        metadata=Metadata({**METADATA.weights, "motion": "random:1"}, METADATA.labels, {}),
    )
    assert run(capsys, first, other)[2].splitlines() == [
        f"NOTE: {other}: the scores come from random weights and mean nothing",
        "NOTE: the two sets were scored with different weights or precisions",
    ]


def test_labels_are_counted_over_more_rows_than_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (summary,) = json.loads(run(capsys, write_realistic_scores(tmp_path / "s.parquet", 30_000))[1])["sets"]
    assert sum(summary["label_share_of_clips"].values()) == pytest.approx(1)  # each of its clips has one label
    assert summary["clips"] > 70_000


def test_wrong_usage_is_status_2(first: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(first)] * 3)


def test_a_table_that_cannot_be_read_is_status_1(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, first, tmp_path / "gone.parquet")
    assert (status, out) == (1, "")
    assert err.startswith(f"cannot read {tmp_path / 'gone.parquet'}: ")
