"""Tables with embeddings, actions and heads: written, resumed, and read by every command; no server."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas  # type: ignore[import-untyped]
import polars
import pyarrow as pa
import pytest
from pyarrow import parquet

from client._commands import filter as filter_command
from client._commands import report as report_command
from client._commands import score as score_command
from client._commands import summary as summary_command
from client._runs.table_run import journal_of
from client._tables.journal import VERSION, Journal, JournalError
from client._tables.table import SCHEMA, read_batches, read_metadata, read_table
from tests.stub_server import answer_everything
from tests.stub_signals import (
    FRAME_EMBEDDINGS,
    SEGMENT_EMBEDDINGS,
    SIGNAL_OUTPUTS,
    WEIGHTS,
    SignalsConnection,
    answer_with_signals,
)
from training.heads.tables import read_rows

ALL = "motion,camera,segments,frames,actions"
RANKED_GENRES = [("news", 0.75), ("sport", 0.125), ("other", 0.125)]
EXTRA = ["segment_embeddings", "frame_embeddings", "frame_seconds", "actions", "head_genre", "head_shot"]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> SignalsConnection:
    return answer_with_signals(monkeypatch)


@pytest.fixture
def videos(tmp_path: Path) -> list[str]:
    """Two videos, and an empty file between them, which is a failure."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "bad.mp4").touch()
    return [str(tmp_path / name) for name in ("a.mp4", "bad.mp4", "b.mp4")]


def score(videos: list[str], output: Path, *options: str) -> int:
    return score_command.main([*videos, "--output", str(output), "--in-flight", "1", *options])


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_table_has_all_signals_and_both_readers_find_them(
    suffix: str, connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / f"scores{suffix}"
    assert score(videos, path, "--signals", ALL, "--frames", "3") == 1
    assert connection.parameters == [{"frames": 3, "signals": ALL}] * 2
    table = read_table(path)
    assert table.column_names == [*SCHEMA.names, *EXTRA]
    assert table.schema.field("frame_embeddings").type == pa.list_(pa.list_(pa.float32(), 4))
    good, bad, _ = table.to_pylist()
    assert np.array_equal(np.array(good["segment_embeddings"], np.float32), SEGMENT_EMBEDDINGS)
    assert np.array_equal(np.array(good["frame_embeddings"], np.float32), FRAME_EMBEDDINGS)
    assert np.array_equal(np.array(good["frame_seconds"], np.float32), SIGNAL_OUTPUTS["FRAME_SECONDS"])
    assert [(entry["label"], entry["probability"]) for entry in good["head_genre"]] == RANKED_GENRES
    assert good["actions"]["video"][0] == {"label": "jump", "probability": 0.5}
    assert [clip["start_seconds"] for clip in good["actions"]["clips"]] == [0, 2]
    assert good["camera_movement_score"] == 0.5
    assert [bad[name] for name in EXTRA] == [None] * 6
    assert bad["error"] == "the file is empty"
    metadata = read_metadata(path)
    assert metadata.signals == tuple(ALL.split(","))
    assert metadata.weights["frames"] == "c@3"
    assert metadata.weights["head_genre"] == "directory /heads/genre"
    assert metadata.parameters["frames"] == 3
    for on, expected, encoder in (("frames", FRAME_EMBEDDINGS, "c@3"), ("segments", SEGMENT_EMBEDDINGS, "a@1")):
        rows = [*read_rows(path, on, {videos[1], videos[2]})]  # type: ignore[arg-type]
        assert [row.video for row in rows] == videos[1:]
        assert rows[0].embeddings is None
        assert rows[1].embeddings is not None
        assert np.array_equal(rows[1].embeddings, expected)
        assert rows[1].encoder == encoder


def test_a_journal_keeps_embeddings_bit_by_bit(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    score(videos, path, "--signals", ALL)
    with closing(sqlite3.connect(journal_of(path))) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    with closing(Journal(journal_of(path))) as journal:
        (_, first), *_ = journal.rows()
        assert first["frame_embeddings"].tobytes() == FRAME_EMBEDDINGS.tobytes()
        assert first["frame_embeddings"].shape == FRAME_EMBEDDINGS.shape


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_run_with_signals_resumes(
    suffix: str, connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / f"scores{suffix}"
    score(videos[:1], path, "--signals", ALL)
    first = read_table(path)
    path.unlink()
    connection.weights = {**WEIGHTS, "heads": {**WEIGHTS["heads"], "new": WEIGHTS["heads"]["genre"]}}
    assert score(videos, path, "--signals", "actions,frames,segments,camera,motion") == 1
    assert connection.videos == [b"a.mp4", b"b.mp4"]
    table = read_table(path)
    assert table.column_names == first.column_names  # without the head that came later
    assert table.slice(0, 1).equals(first)
    (tmp_path / "bad.mp4").write_bytes(b"good now")
    assert score_command.main(["--retry-failed", "--output", str(path), "--signals", ALL]) == 0
    assert read_table(path).column("frame_embeddings").null_count == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([], ["--signals", "motion,camera"], r"was begun with signals none, now they are \[\"motion\", \"camera\"\]"),
        (["--signals", "motion,camera"], [], r"was begun with signals \[.*\], now they are none"),
        (
            ["--signals", "frames"],
            ["--signals", "frames", "--heads", ""],
            r"begun with heads \[\"genre\"\], now .* none",
        ),
        (["--signals", "frames"], ["--signals", "frames", "--frames", "8"], r"begun with parameters"),
        (
            ["--signals", "frames"],
            ["--signals", "frames", "--embeddings-dtype", "float16"],
            r'begun with embeddings "float32", now they are "float16"',
        ),
    ],
)
def test_a_table_is_not_mixed(
    before: list[str],
    after: list[str],
    message: str,
    connection: SignalsConnection,
    videos: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "scores.jsonl"
    assert score(videos[:1], path, *before) == 0
    content = path.read_bytes()
    assert score(videos, path, *after) == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])
    assert path.read_bytes() == content


def test_float16_halves_embeddings_and_nothing_else(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path, text = tmp_path / "scores.parquet", tmp_path / "scores.jsonl"
    for output in (path, text):
        score(videos[:1], output, "--signals", "segments,frames", "--embeddings-dtype", "float16")
    assert parquet.read_schema(path).field("frame_embeddings").type == pa.list_(pa.list_(pa.float16(), 4))
    (row,) = read_rows(path, "segments", videos)
    assert row.embeddings is not None
    assert row.embeddings.dtype == np.float16
    assert np.array_equal(row.embeddings, SEGMENT_EMBEDDINGS.astype(np.float16))
    (line,) = map(json.loads, text.read_text().splitlines())
    assert np.array_equal(np.array(line["frame_embeddings"], np.float16), FRAME_EMBEDDINGS.astype(np.float16))
    assert "-0.71436" in text.read_text()
    assert read_table(path).column("frame_seconds").to_pylist()[0] == [0, 1.75, np.float32(3.4583333)]


def test_embeddings_that_float16_cannot_hold_fail_that_video(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    connection.outputs = SIGNAL_OUTPUTS | {"SEGMENT_EMBEDDINGS": np.array([[1, -70000]], np.float32)}
    assert score(videos[:1], path, "--signals", "segments", "--embeddings-dtype", "float16") == 1
    (row,) = read_table(path).to_pylist()
    assert row["error"] == (
        "float16 cannot hold its embeddings, whose largest value is 70000: use --embeddings-dtype float32"
    )
    assert score(videos[:1], tmp_path / "whole.parquet", "--signals", "segments") == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pandas_polars_and_duckdb_open_it(
    dtype: str, connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    score(videos, path, "--signals", ALL, "--embeddings-dtype", dtype)
    expected = FRAME_EMBEDDINGS.astype(dtype)
    frame = pandas.read_parquet(path)
    assert np.array_equal(np.stack(frame.frame_embeddings[0]), expected)
    assert frame.frame_embeddings[1] is None
    assert frame.actions[0]["video"][0]["label"] == "jump"
    rows = polars.read_parquet(path)
    assert np.array_equal(np.array(rows["frame_embeddings"][0].to_list(), dtype), expected)
    assert rows["head_genre"][0][0]["label"] == "news"
    query = f"SELECT frame_embeddings, actions.video[1].label, head_genre[1] FROM '{path}'"
    found = duckdb.connect().execute(query).fetchall()
    assert np.array_equal(np.array(found[0][0], dtype), expected)
    assert found[0][1:] == ("jump", {"label": "news", "probability": 0.75})
    assert found[1] == (None, None, None)


def test_filter_keeps_the_columns_in_its_lists(
    connection: SignalsConnection, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, kept, lines = tmp_path / "scores.parquet", tmp_path / "kept.parquet", tmp_path / "kept.jsonl"
    score(videos, path, "--signals", ALL)
    for output in (kept, lines):
        assert filter_command.main([str(path), "--drop", "static", "--kept", str(output)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["kept"] == 2
    assert read_table(kept).equals(read_table(path).filter(pa.compute.field("error").is_null()))
    direct = tmp_path / "direct.jsonl"
    score(videos, direct, "--signals", ALL)
    good = [json.loads(line) for line in direct.read_text().splitlines() if "error" not in line]
    again = [json.loads(line) for line in lines.read_text().splitlines()]
    for one, other in zip(good, again, strict=True):
        assert other.pop("parameters", None) in (None, one.pop("parameters", None))
        assert other == one
    (row, _) = read_rows(kept, "frames", videos)
    assert np.array_equal(row.embeddings, FRAME_EMBEDDINGS)  # type: ignore[arg-type]


def test_summary_and_report_do_not_read_embeddings(
    connection: SignalsConnection, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.parquet"
    score(videos, path, "--signals", ALL)
    assert all(batch.schema.names == SCHEMA.names for batch in read_batches(path, signals=False))
    assert summary_command.main([str(path)]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["sets"]
    assert (summary["videos"], summary["failed"], summary["clips"]) == (3, 1, 4)
    assert summary_command.main([str(path), "--per-video"]) == 0
    assert report_command.main([str(path), "--output", str(tmp_path / "report.html")]) == 0
    assert "3 videos, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_table_of_motion_alone_is_summarized_and_one_without_motion_is_refused(
    suffix: str, connection: SignalsConnection, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    motion, camera = tmp_path / f"motion{suffix}", tmp_path / f"camera{suffix}"
    score(videos, motion, "--signals", "motion", "--heads", "shot")
    score(videos, camera, "--signals", "camera,actions")
    assert [entry["label"] for entry in read_table(motion).to_pylist()[0]["head_shot"]] == ["moving", "still"]
    assert read_table(camera).to_pylist()[2]["actions"]["video"][0]["label"] == "jump"
    assert "frame_embeddings" not in read_table(camera).column_names
    capsys.readouterr()
    commands = (
        lambda path: filter_command.main([str(path), "--drop", "static", "--kept", str(tmp_path / "kept.jsonl")]),
        lambda path: summary_command.main([str(path)]),
        lambda path: summary_command.main([str(path), "--per-video"]),
        lambda path: report_command.main([str(path), "--output", str(tmp_path / "report.html")]),
    )
    for command in commands:
        assert command(motion) == 0
        capsys.readouterr()
        assert command(camera) == 1
        assert "has no motion scores, only camera, actions: score the videos" in capsys.readouterr().err
    (first, _) = map(json.loads, (tmp_path / "kept.jsonl").read_text().splitlines())
    assert "camera" not in first
    assert first["motion"]["dynamics_score"] == 2.5


def test_a_table_of_failures_alone_has_the_columns(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    assert score(videos[1:2], path, "--signals", ALL) == 1
    assert read_table(path).column_names == [*SCHEMA.names, *EXTRA]
    assert score(videos, path, "--signals", ALL) == 1
    assert read_table(path).schema.field("frame_embeddings").type == pa.list_(pa.list_(pa.float32(), 4))


def test_csv_cannot_hold_embeddings(
    connection: SignalsConnection, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(videos, tmp_path / "scores.csv", "--signals", "motion,segments") == 2
    assert "a CSV table cannot hold embeddings: write .parquet or .jsonl" in capsys.readouterr().err
    assert connection.models == []


@pytest.mark.parametrize("output", [True, False])
def test_signals_that_are_not_served_stop_the_command_before_any_video(
    output: bool, monkeypatch: pytest.MonkeyPatch, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = answer_with_signals(monkeypatch, {name: WEIGHTS[name] for name in ("motion", "camera", "labels")})
    to = ["--output", str(tmp_path / "scores.parquet")] if output else []
    assert score_command.main([*videos, *to, "--signals", "frames"]) == 1
    assert "does not serve the signal frames; it serves motion, camera, segments" in capsys.readouterr().err
    assert connection.videos == []
    connection.has_signals = False
    assert score_command.main([videos[0], videos[2], *to, "--signals", "motion", "--in-flight", "1"]) == 1
    assert "the server has no model video_signals" in capsys.readouterr().err
    assert not output or read_table(tmp_path / "scores.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--signals", "sound"],
            "there is no signal 'sound'; the signals are motion, camera, segments,",
        ),
        (["--signals", ""], "no signals are named"),
        (["--signals", "motion", "--frames", "8"], "frames is given, but frames is not among the signals"),
        (["--frames", "8"], "frames is given, but not signals: name frames among the signals"),
        (["--signals", "frames", "--frames", "257"], "--frames is 257, it must be from 1 to 256"),
        (["--signals", "motion", "--embeddings-dtype", "float16"], "--embeddings-dtype is for embeddings"),
        (["--embeddings-dtype", "float16"], "--embeddings-dtype is for embeddings"),
        (["--heads", ""], "--heads names no head"),
    ],
)
def test_wrong_usage(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        score_command.main(["a.mp4", *options])
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_printed_scores_have_the_signals(
    connection: SignalsConnection, videos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_command.main([videos[0], "--signals", ALL, "--embeddings-dtype", "float16"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert np.array_equal(np.array(row["frame_embeddings"], np.float16), FRAME_EMBEDDINGS.astype(np.float16))
    assert row["head_shot"] == {"still": 0.25, "moving": 0.75}
    assert score_command.main([videos[0], "--signals", "segments,frames,actions", "--format", "table"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  segments  2 embeddings of 3",
        "  frames    3 embeddings of 4",
        "  actions   jump 0.50, run 0.25, sing 0.13, sit 0.06, wave 0.03",
        "  acts     0.00 -    2.00 s   run 0.50, jump 0.25",
        "  acts     2.00 -    3.50 s   jump 0.75, sing 0.25",
        "  head genre   news 0.75, sport 0.12, other 0.12",
        "  head shot   moving 0.75, still 0.25",
    ]


@pytest.mark.parametrize(
    ("name", "notice"), [("frames", "random weights"), ("motion", None), ("actions", "demo networks")]
)
def test_the_notice_is_about_the_networks_that_were_asked(
    name: str, notice: str | None, connection: SignalsConnection, videos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    connection.weights = WEIGHTS | {
        "frames": {**WEIGHTS["frames"], "source": "random:1"},
        "actions": {**WEIGHTS["actions"], "source": "demo"},
    }
    assert score_command.main([videos[0], "--signals", name]) == 0
    said = capsys.readouterr().err
    assert (notice in said) if notice else (said == "")


DAMAGES: dict[str, Any] = {
    "a bit of an embedding": lambda record: record[:-8] + bytes([record[-8] ^ 1]) + record[-7:],
    "a cut": lambda record: record[:-5],
    "something behind": lambda record: record + b"\0",
    "nothing of the embeddings": lambda record: record[:-200],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_embeddings_in_a_journal_are_found_before_anything_changes(
    damage: str, connection: SignalsConnection, videos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.parquet"
    score(videos, path, "--signals", "frames,segments")
    before = path.read_bytes()
    with closing(sqlite3.connect(journal_of(path))) as database:
        (record,) = database.execute("SELECT record FROM videos WHERE id = 1").fetchone()
        database.execute("UPDATE videos SET record = ? WHERE id = 1", (DAMAGES[damage](record),))
        database.commit()
    assert score(videos, path, "--signals", "frames,segments") == 1
    assert "journal is damaged (the record of video 1 cannot be read:" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_table_of_the_version_before_signals_can_be_added_to(
    monkeypatch: pytest.MonkeyPatch, videos: list[str], tmp_path: Path
) -> None:
    answer_everything(monkeypatch)
    path = tmp_path / "scores.jsonl"
    score(videos[:1], path)
    with closing(sqlite3.connect(journal_of(path))) as database:
        database.execute("PRAGMA user_version = 2")
        database.commit()
    assert score(videos, path) == 1
    assert [row["video"] for row in read_table(path).to_pylist()] == videos
    with closing(sqlite3.connect(journal_of(path))) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
        database.commit()
    with pytest.raises(JournalError, match="use a newer client"):
        Journal(journal_of(path))
