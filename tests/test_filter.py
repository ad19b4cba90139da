"""The command `filter`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from client._commands.filter import main
from client._commands.video_list import UnwritableList, VideoList
from client._tables.row import FIRST_PASS_COLUMNS
from client._tables.table import Metadata, read_table
from fixtures.score_tables import METADATA, write_realistic_scores, write_scores
from tests.test_table import ROWS, write

STATIC, SLIDESHOW, CHAOTIC, MOVING = (0.1, 0.1, 0.1), (1.0, 0.1, 2.0), (2.9, 2.0, 2.9), (1.0, 1.0, 1.0)
BOTH = (2.9, 0.1, 2.9)
ALL = ["--drop", "static", "--drop", "chaotic", "--drop", "slideshow"]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rows: list[tuple[float, float, float] | str]
    rows = [STATIC, MOVING, "the video has no video stream", SLIDESHOW, BOTH, MOVING, CHAOTIC]
    return write_scores(tmp_path / "scores.parquet", rows, videos=[f"{name}.mp4" for name in "abcdefg"])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_every_video_is_on_one_list(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = {what: tmp_path / f"{what}.txt" for what in ("kept", "dropped", "failed")}
    status, out, err = run(capsys, scores, *ALL, *(f"--{what}={path}" for what, path in lists.items()))
    assert status == 0
    assert err == ""
    assert json.loads(out) == {
        "scores": str(scores),
        "videos": 7,
        "kept": 2,
        "dropped": 4,
        "failed": 1,
        "dropped_by": {"static": 1, "chaotic": 2, "slideshow": 2},
        "presets": {
            "static": {"camera": 0.5, "object": 0.5, "dynamics": 1.0},
            "chaotic": {"camera": 2.5, "dynamics": 2.5},
            "slideshow": {"object": 0.5, "dynamics": 1.0},
        },
    }
    assert lists["kept"].read_text() == "b.mp4\nf.mp4\n"
    assert lists["dropped"].read_text() == "a.mp4\tstatic\nd.mp4\tslideshow\ne.mp4\tchaotic,slideshow\ng.mp4\tchaotic\n"
    assert lists["failed"].read_text() == "c.mp4\tthe video has no video stream\n"
    assert sorted(os.listdir(tmp_path)) == ["dropped.txt", "failed.txt", "kept.txt", "scores.parquet"]


def test_a_person_reads_how_many_of_each_and_why(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, scores, "--drop", "static", "--static", "camera=1.5", "--format", "table")
    assert status == 0
    assert out.splitlines() == [
        "videos       7",
        "failed       1  without scores, neither kept nor dropped",
        "kept         5  83.3% of the scored",
        "dropped      1  16.7%",
        "  static     1  16.7%   camera < 1.5 and object < 0.5 and dynamics < 1",
    ]
    assert err == "c.mp4: the video has no video stream\n"


def test_cutoffs_on_the_command_line_are_those_that_count(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (scores, "--drop", "slideshow", "--slideshow", "dynamics=1.999", "--slideshow", "object=0.11")
    assert json.loads(run(capsys, *arguments)[1])["dropped"] == 2
    assert json.loads(run(capsys, *arguments, "--slideshow", "dynamics=2")[1])["dropped"] == 1
    assert json.loads(run(capsys, *arguments, "--slideshow", "object=0.1")[1])["dropped"] == 0


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_kept_and_dropped_rows_are_tables_again(
    suffix: str, scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, dropped, failed = (tmp_path / (name + suffix) for name in ("kept", "dropped", "failed"))
    assert run(capsys, scores, *ALL, "--kept", kept, "--dropped", dropped, "--failed", failed)[0] == 0
    whole = read_table(scores)
    assert read_table(kept).equals(whole.take([1, 5]))
    assert read_table(dropped).equals(whole.take([0, 3, 4, 6]))
    assert read_table(failed).equals(whole.take([2]))
    assert Metadata.of(read_table(kept)) == METADATA
    if suffix == ".parquet":
        names = parquet.read_table(dropped)["dropped_by"].to_pylist()
    else:
        names = [json.loads(line)["dropped_by"] for line in dropped.read_text().splitlines()]
    assert names == [["static"], ["slideshow"], ["chaotic", "slideshow"], ["chaotic"]]
    assert json.loads(run(capsys, kept, *ALL)[1])["kept"] == 2


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_lists_have_what_a_first_pass_saw_if_it_saw_nothing_of_the_first_video(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first scored row says which columns lines have; a video that surely moves is not looked at to its end."""
    scores = write_scores(tmp_path / "scores.parquet", [MOVING, MOVING])
    table = parquet.read_table(scores)
    for name in FIRST_PASS_COLUMNS:
        table = table.append_column(name, pa.array([None, 0.1], pa.float32()))
    parquet.write_table(table, scores)
    kept = tmp_path / f"kept{suffix}"
    assert run(capsys, scores, *ALL, "--kept", kept)[0] == 0
    assert read_table(kept).equals(read_table(scores))


def test_part_of_a_video_is_not_taken_for_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "s.parquet", [MOVING, STATIC], videos=["a.mp4"] * 2, parts=[(0, 4), (4, None)])
    status, _, err = run(capsys, scores, *ALL, "--kept", tmp_path / "kept.txt")
    assert status == 1
    assert err == "a.mp4 was scored in part, and a .txt list cannot say which: write .jsonl or .parquet\n"
    assert os.listdir(tmp_path) == ["s.parquet"]
    assert run(capsys, scores, *ALL, "--kept", tmp_path / "kept.jsonl")[0] == 0
    assert json.loads((tmp_path / "kept.jsonl").read_text())["parameters"] == {"start_seconds": 0, "end_seconds": 4}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_what_decoded_a_video_stays_with_it(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write(tmp_path / f"s{suffix}", ROWS)
    assert run(capsys, scores, "--drop", "static", "--kept", tmp_path / "kept.jsonl")[0] == 0
    assert json.loads((tmp_path / "kept.jsonl").read_text())["decoder"] == "nvdec"


def test_a_name_that_would_break_a_list_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "s.parquet", [MOVING], videos=["a\nb.mp4"])
    (tmp_path / "kept.txt").write_text("what was there before\n")
    status, _, err = run(capsys, scores, *ALL, "--kept", tmp_path / "kept.txt")
    assert (status, err) == (1, "'a\\nb.mp4' has a line break or a tab in its name: write .jsonl or .parquet\n")
    assert (tmp_path / "kept.txt").read_text() == "what was there before\n"


def test_many_failures_are_counted_and_the_first_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "s.parquet", ["the file is truncated"] * 25)
    status, out, err = run(capsys, scores, *ALL)
    assert status == 0
    assert json.loads(out)["failed"] == 25
    *named, last = err.splitlines()
    assert named == [f"videos/{index:07}.mp4: the file is truncated" for index in range(10)]
    assert last == "... and 15 more (--failed FILE lists them all)"


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".parquet"])
def test_no_failure_is_named_that_a_list_has(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "s.parquet", ["the file is truncated"] * 25)
    status, out, err = run(capsys, scores, *ALL, "--failed", tmp_path / f"failed{suffix}")
    assert (status, err) == (0, "")
    assert json.loads(out)["failed"] == 25
    if suffix == ".txt":
        assert len((tmp_path / "failed.txt").read_text().splitlines()) == 25
    else:
        assert read_table(tmp_path / f"failed{suffix}").num_rows == 25


def test_rows_of_a_list_have_their_reason(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, scores, *ALL, "--failed", tmp_path / "failed.jsonl")[0] == 0
    assert json.loads((tmp_path / "failed.jsonl").read_text()) == {
        "video": "c.mp4",
        "error": "the video has no video stream",
        "error_kind": "InvalidRequest",
        "reason": "no_video_stream",
    }


def test_cutoffs_alone_drop_their_preset(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = json.loads(run(capsys, scores, "--static", "camera=1.5,object=1.5,dynamics=1.5")[1])
    assert alone == json.loads(
        run(capsys, scores, "--drop", "static", "--static", "camera=1.5,object=1.5,dynamics=1.5")[1]
    )
    assert alone["dropped_by"] == {"static": 3}
    both = json.loads(run(capsys, scores, "--drop", "chaotic", "--static", "camera=0.4")[1])
    assert both["dropped_by"] == {"static": 1, "chaotic": 2}
    assert both["presets"]["static"] == {"camera": 0.4, "object": 0.5, "dynamics": 1.0}


def test_a_list_that_cannot_be_completed_leaves_every_list_as_it_was(
    scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept.txt").write_text("before\n")
    finish = VideoList.finish

    def fail_on_dropped(video_list: VideoList) -> None:
        finish(video_list)
        if video_list.what == "dropped":
            raise UnwritableList(f"cannot write {video_list.path}: No space left on device")

    monkeypatch.setattr(VideoList, "finish", fail_on_dropped)
    lists = ("--kept", tmp_path / "kept.txt", "--dropped", tmp_path / "dropped.parquet")
    status, _, err = run(capsys, scores, *ALL, *lists)
    assert (status, err) == (1, f"cannot write {tmp_path / 'dropped.parquet'}: No space left on device\n")
    assert (tmp_path / "kept.txt").read_text() == "before\n"
    assert sorted(os.listdir(tmp_path)) == ["kept.txt", "scores.parquet"]


def test_a_row_without_all_its_scores_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [MOVING, (0.1, float("nan"), 0.1), (0.1, 0.1, float("inf"))]
    _, out, err = run(capsys, write_scores(tmp_path / "s.parquet", rows), *ALL)
    counts = json.loads(out)
    assert (counts["kept"], counts["dropped"], counts["failed"]) == (1, 0, 2)
    assert err.splitlines()[0] == "videos/0000001.mp4: it has no scores"


def test_an_empty_table_is_empty_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "s.parquet", [])
    status, out, _ = run(capsys, scores, *ALL, "--kept", tmp_path / "kept.txt", "--format", "table")
    assert status == 0
    assert out.splitlines()[2] == "kept         0  0.0% of the scored"
    assert (tmp_path / "kept.txt").read_text() == ""


def test_counts_add_up_over_more_rows_than_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_realistic_scores(tmp_path / "s.parquet", 30_000)
    counts = json.loads(run(capsys, scores, *ALL, "--dropped", tmp_path / "dropped.txt")[1])
    assert counts["kept"] + counts["dropped"] + counts["failed"] == counts["videos"] == 30_000
    whole = read_table(scores)
    values = {
        name: whole[column].to_numpy()
        for name, column in zip(
            "cod", ("camera_movement_score", "object_movement_score", "dynamics_score"), strict=True
        )
    }
    static = (values["c"] < np.float32(0.5)) & (values["o"] < np.float32(0.5)) & (values["d"] < np.float32(1))
    assert counts["dropped_by"]["static"] == static.sum() > 1000
    lines = (tmp_path / "dropped.txt").read_text().splitlines()
    assert len(lines) == counts["dropped"]
    assert sum("static" in line for line in lines) == static.sum()


def test_random_weights_give_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {"motion": "random:0", "camera": "random:0", "precision": "f32"}
    scores = write_scores(tmp_path / "s.parquet", [MOVING], metadata=Metadata(weights, METADATA.labels, {}))
    assert "random weights" in run(capsys, scores, *ALL)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to drop: give --drop PRESET"),
        (["--verdicts"], "--verdicts adds columns to lists: write one that is .jsonl or .parquet"),
        ([*ALL, "--kept", "kept.xlsx"], "--kept kept.xlsx must end in .txt, .jsonl, .parquet"),
        ([*ALL, "--kept", "a.txt", "--dropped", "a.txt"], "the table and the lists must be different files"),
        ([*ALL, "--kept", "scores.parquet"], "the table and the lists must be different files"),
    ],
)
def test_wrong_usage_is_status_2(
    arguments: list[str],
    message: str,
    scores: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(scores.parent)
    with pytest.raises(SystemExit) as stopped:
        main(["scores.parquet", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_read_or_written_is_status_1(
    scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, tmp_path / "gone.parquet", *ALL)[0] == 1
    (tmp_path / "text.parquet").write_text("not a table")
    status, _, err = run(capsys, tmp_path / "text.parquet", *ALL)
    assert status == 1
    assert err.startswith(f"{tmp_path / 'text.parquet'} is not a table of scores: ")
    status, _, err = run(capsys, scores, *ALL, "--kept", tmp_path / "no" / "kept.txt")
    assert (status, err) == (1, f"cannot write {tmp_path / 'no' / 'kept.txt'}: No such file or directory\n")
    status, _, err = run(capsys, scores, *ALL, "--kept", tmp_path / "no" / "kept.parquet")
    assert (status, err) == (1, f"cannot write {tmp_path / 'no' / 'kept.parquet'}: No such file or directory\n")
    gone = tmp_path / "gone.parquet"
    assert run(capsys, gone, *ALL) == (1, "", f"cannot read {gone}: No such file or directory\n")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("filter", "python -m client.filter needs pyarrow: pip install pyarrow"),
        ("summary", "python -m client.summary needs pyarrow: pip install pyarrow"),
        ("report", "python -m client.report needs pyarrow and av: pip install pyarrow av"),
    ],
)
def test_what_is_not_installed_is_named(command: str, message: str) -> None:
    hidden = "import runpy, sys; sys.modules.update(pyarrow=None, av=None); "
    run_module = f"runpy.run_module('client.{command}', run_name='__main__', alter_sys=True)"
    result = subprocess.run([sys.executable, "-c", hidden + run_module], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (1, message + "\n")
