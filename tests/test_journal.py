"""The journal of an output, and the outputs that are written from it."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from client import Client, InvalidRequest, Weights
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._runs.table_run import journal_of, run_table
from client._tables.journal import Journal, JournalError, OtherTerms, Position, Terms
from client._tables.output import OutputError, check_output, output_for
from client._tables.row import failed_row, scored_row
from client._tables.table import Metadata, read_table
from tests.test_table import METADATA, SCORE

TERMS = Terms(METADATA.weights, METADATA.labels, {"fps": 8.0, "start_seconds": 1.0})
BAD = InvalidRequest("the file is empty")


def row_of(item: Item) -> dict:
    return failed_row(item.video, BAD) if "bad" in item.path else scored_row(item.video, SCORE)


def fill(path: Path, items: list[Item], *, finish: bool = True) -> None:
    with closing(Journal(path.with_name(f"{path.name}.journal"))) as journal:
        journal.agree(TERMS)
        output = output_for(path, journal)
        output.open()
        for item in items:
            output.add(journal.add(item, row_of(item), output.position), row_of(item))
        if finish:
            output.finish()


def videos(path: Path) -> list[str]:
    return read_table(path).column("video").to_pylist()


ITEMS = [Item("a.mp4"), Item("bad.mp4"), Item("a.mp4", 1.0), Item(os.fsdecode(b"\xff.mp4"))]
NAMES = ["a.mp4", "bad.mp4", "a.mp4", "\\xff.mp4"]


def test_a_journal_knows_what_is_in_it_and_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        for item in ITEMS:
            assert not journal.has(item)
            journal.add(item, row_of(item), Position())
            assert journal.has(item)
    with closing(Journal(path)) as journal:
        assert [journal.has(item, failed=True) for item in ITEMS] == [False, True, False, False]
        assert [*journal.failures()] == [Item("bad.mp4")]
        assert (journal.count(), journal.count(failed=True)) == (4, 1)
        assert [row["video"] for _, row in journal.rows()] == NAMES
        with pytest.raises(JournalError, match="UNIQUE"):
            journal.add(ITEMS[0], row_of(ITEMS[0]), Position())
        journal.replace(Item("bad.mp4"), scored_row("bad.mp4", SCORE))
        assert [*journal.failures()] == []
        assert [row["video"] for _, row in journal.rows()] == NAMES


def test_a_journal_that_failures_stay_in_is_gone_through_once(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        for index in range(5):
            journal.add(Item(f"bad{index}.mp4"), failed_row(f"bad{index}.mp4", BAD), Position())
        seen = []
        for item in journal.failures():
            seen.append(item.path)
            journal.replace(item, failed_row(item.video, BAD))
        assert seen == [f"bad{index}.mp4" for index in range(5)]


def test_other_terms_are_refused(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.agree(TERMS)
        journal.agree(TERMS)
        assert journal.terms == TERMS
        with pytest.raises(OtherTerms, match=r'begun with weights .*"f32".* now they are .*"bf16"'):
            journal.agree(Terms({**TERMS.weights, "precision": "bf16"}, TERMS.labels, TERMS.parameters))
        with pytest.raises(OtherTerms, match=r'begun with parameters {"fps": 8.0, .*, now they are none'):
            journal.agree(Terms(TERMS.weights, TERMS.labels, {}))


@pytest.mark.heavy
def test_one_run_at_a_time_has_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(Journal(path)):
        program = f"from pathlib import Path; from client._tables.journal import Journal; Journal(Path({str(path)!r}))"
        second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"another run is writing to {path}" in second.stderr
    Journal(path).close()


def test_what_is_no_journal_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("something else " * 100)
    with pytest.raises(JournalError, match="is not a journal of scores"):
        Journal(path)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_an_output_holds_the_rows_of_all_runs(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    fill(path, ITEMS[:2])
    fill(path, ITEMS[2:])
    assert videos(path) == NAMES
    if suffix == ".parquet":
        assert Metadata.of(read_table(path)) == METADATA
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.journal"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("damage", ["half a row", "a row less", "gone", "other bytes at the end"])
def test_text_that_was_written_when_the_program_was_killed_is_mended(suffix: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    fill(path, ITEMS[:3], finish=False)
    whole = path.read_bytes()
    if damage == "half a row":
        path.write_bytes(whole[:-7])
    elif damage == "a row less":
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole + b"\0\0\0")
    fill(path, ITEMS[3:])
    assert videos(path) == NAMES
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_failure_that_is_replaced_is_in_the_output_once(suffix: str, killed: bool, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    fill(path, ITEMS)
    with closing(Journal(path.with_name(f"{path.name}.journal"))) as journal:
        output = output_for(path, journal)
        output.open()
        journal.replace(Item("bad.mp4"), scored_row("bad.mp4", SCORE))
        if not killed:
            output.finish()
    if killed:
        fill(path, [])
    table = read_table(path)
    assert table.column("video").to_pylist() == NAMES
    assert table.column("error").null_count == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scores.txt", r"must end in .parquet, .jsonl, .csv"),
        ("gone/scores.csv", "there is no folder"),
        ("there.csv", "there.csv.journal is missing or empty"),
        ("folder.csv", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_scored(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    path = tmp_path / name
    with pytest.raises(OutputError, match=message):
        check_output(path, path.with_name(f"{path.name}.journal"))


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root could write to any but one of a read-only file system."""
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(OutputError, match=rf"s.csv: the folder {tmp_path} cannot be written to"):
        check_output(tmp_path / "s.csv", tmp_path / "s.csv.journal")


def test_a_table_is_not_overwritten_if_its_journal_was_copied_without_its_wal(tmp_path: Path) -> None:
    path, copy = tmp_path / "scores.csv", tmp_path / "copy.csv"
    program = (
        "import os; from pathlib import Path; from tests.test_journal import ITEMS, Journal, fill\n"
        f"Journal.close = lambda self: os._exit(0)\nfill(Path({str(path)!r}), ITEMS, finish=False)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert path.with_name("scores.csv.journal-wal").exists()
    copy.write_bytes(path.read_bytes())
    journal_of(copy).write_bytes(journal_of(path).read_bytes())
    client = cast(Client, SimpleNamespace(weights=lambda: Weights("a@1", "b@2", METADATA.labels, "f32")))
    with pytest.raises(OutputError, match=r"copy.csv.journal is incomplete, so no run can resume"):
        run_table(client, Inputs(["new.mp4"], []), copy, {}, in_flight=1)
    assert videos(copy) == NAMES


def test_a_disk_that_is_full_leaves_the_journal_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        journal.add(Item("a.mp4"), {"video": "a.mp4", "error": ""}, Position())
        journal._database.execute("PRAGMA max_page_count = 1")
        large = {"video": os.urandom(100_000).hex(), "error": ""}
        with pytest.raises(JournalError, match="full"):
            journal.add(Item("b.mp4"), large, Position(1, 1))
    with closing(Journal(path)) as journal:
        assert (journal.count(), journal.position) == (1, Position())
