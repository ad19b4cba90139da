"""Tables and journals from before the column `reason` and the version of journals: `data/journal_0` has real ones.

They were written by the client of that time, for two videos and four that fail.
"""

import json
import shutil
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import parquet

from client import InvalidRequest
from client._commands import filter as filter_command
from client._commands import report as report_command
from client._commands import summary as summary_command
from client._inputs.item import Item
from client._runs.table_run import journal_of
from client._tables.journal import VERSION, Journal, JournalError, Position
from client._tables.output import csv_header, output_for
from client._tables.row import failed_row
from client._tables.table import SCHEMA, Metadata, read_metadata, read_table

DATA = Path(__file__).parent / "data" / "journal_0"
VIDEOS = ["a", "empty", "half", "sound", "gone", "b"]
FORMATS = (".parquet", ".jsonl", ".csv")
OLD_SCHEMA = """
CREATE TABLE videos (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    path BLOB NOT NULL,
    start_seconds REAL,
    end_seconds REAL,
    failed INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX failures ON videos (id) WHERE failed;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@pytest.fixture(params=FORMATS)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the table in one format, with its journal."""
    for file in (f"scores{request.param}", f"scores{request.param}.journal"):
        shutil.copy(DATA / file, tmp_path)
    return tmp_path / f"scores{request.param}"


def names(path: Path) -> list[str]:
    return [Path(video).stem for video in read_table(path).column("video").to_pylist()]


def test_an_older_table_is_read_with_the_new_column_empty(table: Path) -> None:
    assert b"reason" not in table.read_bytes()
    rows = read_table(table)
    assert rows.schema.equals(SCHEMA)
    assert names(table) == VIDEOS
    assert rows.column("reason").to_pylist() == [None] * 6
    assert rows.column("decoder").to_pylist() == [None] * 6
    assert rows.column("error").null_count == 2
    assert len(Metadata.of(rows).labels) == 21


def test_every_command_reads_an_older_table(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, failed = tmp_path / "kept.parquet", tmp_path / "failed.jsonl"
    arguments = [str(table), "--static", "camera=-1", "--kept", str(kept), "--failed", str(failed)]
    assert filter_command.main(arguments) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["kept"], counts["dropped"], counts["failed"]) == (2, 0, 4)
    assert names(kept) == ["a", "b"]
    assert [json.loads(line)["reason"] for line in failed.read_text().splitlines()] == [None] * 4
    assert summary_command.main([str(table)]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["sets"]
    assert (summary["videos"], summary["failed"], summary["clips"]) == (6, 4, 3)
    assert report_command.main([str(table), "--output", str(tmp_path / "report.html")]) == 0
    assert "6 videos, 4 failed" in capsys.readouterr().out


def add(path: Path, items: Sequence[Item]) -> None:
    """What a run does with videos that fail."""
    with closing(Journal(journal_of(path))) as journal:
        output = output_for(path, journal)
        output.open()
        for item in items:
            row = failed_row(item.video, InvalidRequest("it is cut off", reason="truncated"))
            output.add(journal.add(item, row, output.position), row)
        output.finish()


def test_a_run_resumes_with_an_older_journal(table: Path) -> None:
    before = read_table(table)
    with closing(Journal(journal_of(table))) as journal:
        assert [journal.has(Item(f"videos/{name}.mp4")) for name in VIDEOS] == [True] * 6
        assert (journal.count(), journal.count(failed=True)) == (6, 4)
    add(table, [Item("new.mp4")])
    after = read_table(table)
    assert after.slice(0, 6).equals(before)
    assert after.column("reason").to_pylist() == [None] * 6 + ["truncated"]
    if table.suffix == ".csv":
        assert table.read_text().startswith(csv_header())
    if table.suffix == ".parquet":
        assert parquet.read_schema(table).names == SCHEMA.names
        assert read_metadata(table).parameters == {"fps": 8.0}
    assert sqlite3.connect(journal_of(table)).execute("PRAGMA user_version").fetchone() == (VERSION,)


@pytest.mark.parametrize("version", [0, 1])
def test_an_older_journal_knows_its_videos_under_other_names(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.csv.journal"
    shutil.copy(DATA / path.name, path)
    execute(path, f"PRAGMA user_version = {version}")
    (tmp_path / "link").symlink_to("videos")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with closing(Journal(path)) as journal:
            for name in VIDEOS:
                for other in (f"videos/{name}.mp4", tmp_path / "videos" / f"{name}.mp4", f"link/{name}.mp4"):
                    assert journal.has(Item(str(other)))
            assert not journal.has(Item(str(tmp_path / "videos" / "new.mp4")))


def test_a_run_that_is_killed_after_it_rewrote_an_older_table_resumes(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    for file in ("scores.csv", "scores.csv.journal"):
        shutil.copy(DATA / file, tmp_path)
    with closing(Journal(journal_of(path))) as journal:
        output = output_for(path, journal)
        output.open()
        assert path.read_text().startswith(csv_header())
        del output
    add(path, [Item("new.mp4")])
    assert names(path) == [*VIDEOS, "new"]


def test_a_journal_with_the_schema_of_old_resumes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLD_SCHEMA)
        item = Item("a.mp4")
        values = (item.key, b"a.mp4", True, zlib.compress(b'{"video": "a.mp4", "error": "it is cut off"}'))
        database.execute("INSERT INTO videos (key, path, failed, record) VALUES (?, ?, ?, ?)", values)
        database.commit()
    with closing(Journal(path)) as journal:
        assert [*journal.failures()] == [item]
        assert [*journal.rows()] == [(1, {"video": "a.mp4", "error": "it is cut off"})]
        journal.add(Item("b.mp4"), {"video": "b.mp4", "error": ""}, Position())
        assert journal.count() == 2


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            [f"PRAGMA user_version = {VERSION + 1}"],
            rf"has version {VERSION + 1}, and this client reads versions up to {VERSION}: use a newer client, or",
        ),
        (["PRAGMA user_version = -1"], "is not a journal of scores: choose another name for the output"),
        (["ALTER TABLE videos ADD COLUMN more TEXT"], "is not a journal of scores"),
        (["DROP TABLE facts"], "is not a journal of scores"),
        ([f"PRAGMA user_version = {VERSION}", "DROP TABLE facts"], "is not a journal of scores"),
        (["CREATE TABLE others (name TEXT)"], "is not a journal of scores"),
    ],
)
def test_a_journal_that_cannot_be_read_is_refused_and_left_as_it_is(
    statements: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    for file in ("scores.csv", "scores.csv.journal"):
        shutil.copy(DATA / file, tmp_path)
    execute(journal_of(path), "PRAGMA journal_mode = DELETE", *statements)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(JournalError, match=message):
        add(path, [Item("new.mp4")])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_journal_that_was_analyzed_resumes(tmp_path: Path) -> None:
    for file in ("scores.csv", "scores.csv.journal"):
        shutil.copy(DATA / file, tmp_path)
    execute(tmp_path / "scores.csv.journal", "ANALYZE")
    add(tmp_path / "scores.csv", [Item("new.mp4")])
    assert names(tmp_path / "scores.csv")[-1] == "new"


def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    for name, content in (("text", b"something else " * 100), ("short", b"text")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(JournalError, match="is not a journal of scores"):
            Journal(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
