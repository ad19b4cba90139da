"""What a run does if its output, its journal or their folder is removed, or if its journal is damaged; no server."""

import json
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from client import Client, InvalidRequest, Score
from client._commands import score as score_command
from client._inputs.inputs import Inputs
from client._runs.table_run import journal_of, run_table
from client._tables.journal import JournalError
from client._tables.output import TextOutput
from client._tables.table import read_table
from tests.stub_server import answer_everything
from tests.test_table import SCORE, WEIGHTS

VIDEOS = ["a.mp4", "b.mp4", "bad.mp4", "c.mp4"]
ENDS = ["a.mp4", "c.mp4"]
"""The first and the last."""
FORMATS = [".parquet", ".jsonl", ".csv"]
TEXT = [".jsonl", ".csv"]


def fake_client(during: Callable[[str], None]) -> Client:
    """Scores every video but bad.mp4; `during` is called with the name of each."""

    def score(path: str, **_: float) -> Score:
        during(path)
        if path == "bad.mp4":
            raise InvalidRequest("the file is empty", reason="empty")
        return SCORE

    return cast(Client, SimpleNamespace(weights=lambda: WEIGHTS, score=score, is_ready=lambda: True))


def run(output: Path, names: Sequence[str] = VIDEOS, during: Callable[[str], None] = lambda _: None) -> int:
    return run_table(fake_client(during), Inputs(names, []), output, {}, in_flight=1)


def at(name: str, what: Callable[[], object]) -> Callable[[str], None]:
    return lambda path: what() if path == name else None  # type: ignore[return-value]


def videos(path: Path) -> list[str]:
    return read_table(path).column("video").to_pylist()


@pytest.fixture(params=FORMATS)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / f"scores{request.param}"


def test_files_that_are_newer_than_the_table_are_said(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(output.parent)
    for name in VIDEOS:
        Path(name).write_text(name)
    assert run(output) == 1
    assert run(output) == 1
    assert "NOTE" not in capsys.readouterr().err
    soon = time.time() + 10  # file systems may count in seconds
    for name in ("a.mp4", "bad.mp4"):
        os.utime(name, (soon, soon))
    Path("new.mp4").write_text("new")
    os.utime("new.mp4", (soon, soon))
    assert run(output, [*VIDEOS, "new.mp4", "new.mp4"]) == 1
    said = capsys.readouterr().err
    assert "NOTE: 1 file is newer than the table, and keeps its old scores: to score it again, choose" in said
    assert videos(output) == [*VIDEOS, "new.mp4"]


@pytest.mark.parametrize("when", ENDS)
def test_a_run_whose_folder_is_removed_fails(output: Path, when: str) -> None:
    with pytest.raises(JournalError, match=r"\.journal was removed, moved or replaced while a run wrote to it: put it"):
        run(output, during=at(when, lambda: shutil.rmtree(output.parent)))
    assert not output.parent.exists()


@pytest.mark.parametrize("how", ["removed", "moved", "made anew", "only the journal", "another journal"])
def test_a_run_whose_journal_is_no_longer_there_fails(output: Path, how: str) -> None:
    def change() -> None:
        if how == "only the journal":
            journal_of(output).unlink()
        elif how == "another journal":
            other = output.with_name("other")
            shutil.copy(journal_of(output), other)
            other.replace(journal_of(output))
        elif how == "moved":
            output.parent.rename(output.parent.with_name("moved"))
        else:
            shutil.rmtree(output.parent)
            if how == "made anew":
                output.parent.mkdir()

    with pytest.raises(JournalError, match="was removed, moved or replaced while a run wrote to it"):
        run(output, during=at("b.mp4", change))
    if how == "moved":  # what was written so far is whole
        moved = output.parent.with_name("moved") / output.name
        assert run(moved) == 1
        assert videos(moved) == VIDEOS


def test_a_removed_folder_is_exit_status_1_and_a_sentence(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = fake_client(at("b.mp4", lambda: shutil.rmtree(output.parent)))
    monkeypatch.setattr(Client, "weights", lambda _: WEIGHTS)
    monkeypatch.setattr(Client, "score", lambda _, path: fake.score(path))
    assert score_command.main([*VIDEOS, "--output", str(output), "--in-flight", "1"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"video-motion score: {journal_of(output)} was removed, moved or replaced")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_is_a_sentence_and_costs_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_bytes(b"video")
    Path("s.parquet.partial").symlink_to("/dev/full")
    assert score_command.main(["a.mp4", "--output", "s.parquet"]) == 1
    assert capsys.readouterr().err == "video-motion score: s.parquet: No space left on device\n"
    assert not Path("s.parquet").exists()
    assert score_command.main(["a.mp4", "--output", "s.parquet"]) == 0
    assert videos(Path("s.parquet")) == ["a.mp4"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_that_is_emptied_just_before_a_row_is_written_is_written_again(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / f"scores{suffix}"
    look = TextOutput._written_size
    emptied: list[Path] = []

    def look_and_empty(self: TextOutput) -> int:
        size = look(self)
        if not emptied:
            emptied.append(self.path)
            os.truncate(self.path, 0)
        return size

    monkeypatch.setattr(TextOutput, "_written_size", look_and_empty)
    assert run(table) == 1
    assert emptied == [table]
    assert videos(table) == VIDEOS


@pytest.mark.parametrize("when", ENDS)
@pytest.mark.parametrize("how", ["removed", "emptied", "cut", "longer", "replaced"])
def test_an_output_that_vanished_is_written_again(output: Path, when: str, how: str) -> None:
    if output.suffix == ".parquet":
        assert run(output, ["0.mp4"]) == 0  # else there is no file during the run
    expected = [*(["0.mp4"] if output.suffix == ".parquet" else []), *VIDEOS]

    def change() -> None:
        if how == "removed":
            output.unlink()
        elif how == "emptied":
            os.truncate(output, 0)
        elif how == "cut":
            os.truncate(output, output.stat().st_size // 2)
        elif how == "longer":
            with output.open("ab") as file:
                file.write(b"something else\n")
        else:
            output.unlink()
            output.write_bytes(b"something else\n")

    assert run(output, during=at(when, change)) == 1
    assert videos(output) == expected
    assert run(output, [*VIDEOS, "d.mp4"]) == 1
    assert videos(output) == [*expected, "d.mp4"]
    assert sorted(file.name for file in output.parent.iterdir()) == [output.name, journal_of(output).name]


def test_an_output_that_vanished_between_runs_is_written_again(output: Path) -> None:
    run(output)
    before = read_table(output)
    output.unlink()
    assert run(output) == 1
    assert read_table(output).equals(before)


@pytest.mark.parametrize("suffix", TEXT)
def test_an_output_that_another_program_changed_between_runs_is_written_again(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"scores{suffix}"
    run(output)
    lines = output.read_text().splitlines(keepends=True)
    first = len(lines) - len(VIDEOS)
    output.write_text("".join([*lines[:first], *reversed(lines[first:])]))
    run(output, [*VIDEOS, "d.mp4"])
    assert videos(output) == [*VIDEOS, "d.mp4"]


def change_journal(output: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(journal_of(output))) as database:
        assert database.execute(statement, values).rowcount
        database.commit()


def contents(output: Path) -> list[tuple[object, ...]]:
    """Everything in the journal."""
    with closing(sqlite3.connect(journal_of(output))) as database:
        tables = ("SELECT * FROM videos ORDER BY id", "SELECT * FROM facts ORDER BY name")
        return [row for query in tables for row in database.execute(query)]


def row(**changes: object) -> bytes:
    content = {"video": "b.mp4", "error": "it is cut off"} | changes
    return zlib.compress(json.dumps({name: value for name, value in content.items() if value is not None}).encode())


RECORD = "UPDATE videos SET record = ? WHERE id = 3"  # bad.mp4, a failure
FACT = "UPDATE facts SET value = ? WHERE name = ?"
DAMAGES: dict[str, tuple[object, ...]] = {
    "a record that is no zlib": (RECORD, b"\0\1\2"),
    "a record that is cut": (RECORD, row()[:-3]),
    "a record that is no JSON": (RECORD, zlib.compress(b"not json")),
    "a record that is no UTF-8": (RECORD, zlib.compress(b'"\xff"')),
    "a record with too many brackets": (RECORD, zlib.compress(b"[" * 100_000)),
    "a record that is text": (RECORD, "text"),
    "a record that is a number": (RECORD, 5),
    "a record that is a list": (RECORD, zlib.compress(b"[]")),
    "a record without a video": (RECORD, row(video=None)),
    "a record whose video is a number": (RECORD, row(video=1)),
    "a record without scores": (RECORD, row(error=None)),
    "a record with wrong parameters": (RECORD, row(parameters=[1])),
    "a failure that is a score": ("UPDATE videos SET failed = 0 WHERE id = ?", 3),
    "a path that is text": ("UPDATE videos SET path = ? WHERE id = 3", "text"),
    "a part that is text": ("UPDATE videos SET start_seconds = ? WHERE id = 3", "soon"),
    "terms that are no JSON": (FACT, "{", "terms"),
    "terms that are a list": (FACT, "[]", "terms"),
    "terms without labels": (FACT, '{"weights": {}, "parameters": {}}', "terms"),
    "terms with wrong labels": (FACT, '{"weights": {}, "labels": 3, "parameters": {}}', "terms"),
    "terms with wrong weights": (FACT, '{"weights": {"motion": 3}, "labels": [], "parameters": {}}', "terms"),
    "terms with wrong parameters": (FACT, '{"weights": {}, "labels": [], "parameters": {"fps": "a"}}', "terms"),
    "terms that are bytes": (FACT, b"\xff", "terms"),
    "a position that is no JSON": (FACT, "x", "position"),
    "a position that is one number": (FACT, "[1]", "position"),
    "a position below zero": (FACT, "[1, -5]", "position"),
    "a position of text": (FACT, '["a", "b"]', "position"),
    "a position after the last video": (FACT, "[99, 5]", "position"),
}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_refused_before_anything_changes(damage: str, suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"scores{suffix}"
    run(output)
    statement, *values = DAMAGES[damage]
    change_journal(output, str(statement), *values)
    before = output.read_bytes(), contents(output)
    scored: list[str] = []
    with pytest.raises(
        JournalError, match=r"journal is damaged \(.*\): restore it from a copy, or choose another name"
    ):
        run(output, [*VIDEOS, "d.mp4"], during=scored.append)
    assert scored == []
    assert (output.read_bytes(), contents(output)) == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_terms_that_are_missing_are_damage(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"scores{suffix}"
    run(output)
    change_journal(output, "DELETE FROM facts WHERE name = ?", "terms")
    output.unlink()
    with pytest.raises(JournalError, match="its terms cannot be read: they are missing"):
        run(output, ["d.mp4"])
    assert not output.exists()


@pytest.mark.parametrize("suffix", TEXT)
@pytest.mark.parametrize("size", [0, 1, 100, 10**9])
def test_a_wrong_size_in_the_position_leaves_a_whole_table(size: int, suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"scores{suffix}"
    run(output)
    change_journal(output, FACT, f"[4, {size}]", "position")
    run(output, [*VIDEOS, "d.mp4"])
    assert videos(output) == [*VIDEOS, "d.mp4"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_journal_with_a_broken_page_is_damaged(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"scores{suffix}"
    run(output, [f"{index}.mp4" for index in range(200)])
    change_journal(output, "INSERT INTO facts VALUES ('a', 'b')")
    content = bytearray(journal_of(output).read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for start in range(8 * page, len(content), page):
        content[start : start + 64] = b"\xff" * 64
    journal_of(output).write_bytes(content)
    before = output.read_bytes()
    with pytest.raises(JournalError, match=r"journal is damaged \(database disk image is malformed\)"):
        run(output, ["d.mp4"])
    assert output.read_bytes() == before
    assert len(videos(output)) == 200


def test_a_score_that_fits_no_table_is_damage(tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    run(output)
    clips = [{"start_seconds": 0, "end_seconds": 1, "labels": ["left"], "probabilities": {"left": 1}}]
    strange = zlib.compress(json.dumps({"video": "b.mp4", "motion": {}, "camera": clips, "info": {}}).encode())
    change_journal(output, "UPDATE videos SET record = ? WHERE id = 2", strange)
    before = output.read_bytes()
    with pytest.raises(JournalError, match=r"is damaged \(a record does not fit the table: 'b.mp4' has 1 labels"):
        run(output, ["d.mp4"])
    assert output.read_bytes() == before
