"""Phrases as columns of `score` and `filter`."""

import json
from pathlib import Path

import pandas  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from client._commands import filter as filter_command
from client._commands import score as score_command
from client._commands import summary as summary_command
from client._tables.row import PHRASE_COLUMNS
from client._tables.table import SCHEMA, read_metadata, read_table
from fixtures.score_tables import write_scores
from tests.stub_server import answer_everything
from tests.stub_signals import answer_with_signals

SENTENCE = "the subject moves; the light, colour or focus changes strongly"
SHORT = "camera motion: right; motion strength: medium"
"""Of the stub's scores 0.5, 1.25, 2.5 and its label `right`, which no sentence knows."""


@pytest.fixture
def videos(tmp_path: Path) -> list[str]:
    """A video, and an empty file, which is a failure."""
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "bad.mp4").touch()
    return [str(tmp_path / name) for name in ("a.mp4", "bad.mp4")]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_table_has_phrases_and_every_command_reads_it(
    suffix: str, videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_everything(monkeypatch)
    path = tmp_path / f"scores{suffix}"
    assert score_command.main([*videos, "--output", str(path), "--phrases", "--in-flight", "1"]) == 1
    table = read_table(path)
    assert table.column_names == [*SCHEMA.names, *PHRASE_COLUMNS]
    rows = table.to_pylist()
    assert [[row[name] for name in PHRASE_COLUMNS] for row in rows] == [[SENTENCE, SHORT], [None, None]]
    assert read_metadata(path).signals is None  # as without phrases
    assert summary_command.summarize(path).scored == 1
    read = {".parquet": pandas.read_parquet, ".csv": pandas.read_csv}.get(suffix)
    if read:
        assert read(path).motion_phrase[0] == SENTENCE
    else:
        assert json.loads(path.read_text().splitlines()[0])["motion_phrase_short"] == SHORT
    kept = tmp_path / "kept.jsonl"
    assert filter_command.main([str(path), "--drop", "static", "--kept", str(kept)]) == 0
    assert json.loads(kept.read_text())["motion_phrase"] == SENTENCE


def test_without_the_option_nothing_is_said(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    path = tmp_path / "scores.parquet"
    score_command.main([*videos, "--output", str(path)])
    assert read_table(path).column_names == SCHEMA.names
    score_command.main([videos[0], "--format", "json"])
    assert not json.loads(capsys.readouterr().out).keys() & {*PHRASE_COLUMNS}


def test_printed_scores_have_phrases(
    videos: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    assert score_command.main([videos[0], "--format", "json", "--phrases"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [printed[name] for name in PHRASE_COLUMNS] == [SENTENCE, SHORT]
    assert score_command.main([videos[0], "--format", "table", "--phrases"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [f"  words     {SENTENCE}", f"  words     {SHORT}"]


def test_all_runs_of_a_table_say_the_same(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    path = tmp_path / "scores.jsonl"
    score_command.main([*videos, "--output", str(path)])
    assert score_command.main([*videos, "--output", str(path), "--phrases"]) == 2
    assert "was begun without --phrases, now it is with --phrases:" in capsys.readouterr().err
    other = tmp_path / "other.jsonl"
    score_command.main([videos[1], "--output", str(other), "--phrases"])
    assert score_command.main([*videos, "--output", str(other), "--phrases"]) == 1  # resumes
    assert [json.loads(line).get("motion_phrase") for line in other.read_text().splitlines()] == [None, SENTENCE]


def test_phrases_need_what_they_are_about(
    videos: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with_signals(monkeypatch)
    with pytest.raises(SystemExit) as raised:
        score_command.main([videos[0], "--signals", "frames", "--phrases"])
    assert raised.value.code == 2
    assert "--phrases says what motion and camera do: name one of them" in capsys.readouterr().err
    assert score_command.main([videos[0], "--signals", "motion,frames", "--phrases", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["motion_phrase_short"] == "motion strength: medium"


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_filter_adds_phrases_to_its_lists(suffix: str, tmp_path: Path) -> None:
    clips = [[(0.0, 2.0, ["pan_left"]), (2.0, 4.0, ["zoom_in"])]] * 3
    rows: list[tuple[float, float, float] | str] = [(1.0, 2.5, 0.1), (0.1, 0.1, 0.1), "the video has no video stream"]
    scores = write_scores(tmp_path / "scores.parquet", rows, clips=clips)
    lists = {what: tmp_path / f"{what}{suffix}" for what in ("kept", "dropped", "failed")}
    options = [f"--{what}={path}" for what, path in lists.items()]
    assert filter_command.main([str(scores), "--drop", "static", "--phrases", *options]) == 0
    found = {what: read_table(path).to_pylist()[0] for what, path in lists.items()}
    assert found["kept"]["motion_phrase"] == "the camera pans left, then zooms in; the subject moves strongly"
    assert found["kept"]["motion_phrase_short"] == "camera motion: pan left, zoom in; motion strength: high"
    assert found["dropped"]["motion_phrase"] == "the camera pans left, then zooms in; the subject hardly moves"
    assert found["failed"].get("motion_phrase") is None
    # Once more over its own list: the columns are not there twice.
    again = tmp_path / f"again{suffix}"
    assert filter_command.main([str(lists["kept"]), "--drop", "static", "--phrases", "--kept", str(again)]) == 0
    assert read_table(again).to_pylist()[0]["motion_phrase"] == found["kept"]["motion_phrase"]
    if suffix == ".parquet":
        assert parquet.read_schema(again).names == [*SCHEMA.names, *PHRASE_COLUMNS]


def test_filter_has_no_place_for_phrases_in_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_scores(tmp_path / "scores.parquet", [(1.0, 1.0, 1.0)])
    with pytest.raises(SystemExit) as raised:
        filter_command.main([str(scores), "--drop", "static", "--phrases", "--kept", str(tmp_path / "kept.txt")])
    assert raised.value.code == 2
    assert "--phrases adds columns to lists: write one that is .jsonl or .parquet" in capsys.readouterr().err
