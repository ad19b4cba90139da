"""Files that are there already: a command replaces what it writes itself, and nothing else."""

import json
from pathlib import Path

import pytest

from client.__main__ import main
from fixtures.score_tables import write_scores

LEARN = ("--annotations", "answers.csv", "--output")


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_scores(Path("scores.parquet"), [(0.1, 0.1, 0.1), (2.0, 2.0, 2.0)])


@pytest.mark.parametrize(
    ("arguments", "output", "kind"),
    [
        (("filter", "scores.parquet", "--drop", "static", "--kept"), "other.parquet", "list of videos"),
        (("filter", "scores.parquet", "--drop", "static", "--dropped"), "other.jsonl", "list of videos"),
        (("filter", "scores.parquet", "--drop", "static", "--failed"), "other.txt", "list of videos"),
        (("report", "scores.parquet", "--output"), "other.html", "page"),
        (("learn", "scores.parquet", *LEARN), "other.json", "learned filter"),
        (("first-pass", "calibrate", "scores.parquet", "--output"), "other.json", "file of thresholds"),
        (("annotate", "scores.parquet", "--output", "a.csv", "--page"), "other.html", "page"),
        (("search", "scores.parquet", "a dog", "--html"), "other.html", "page"),
        (("evaluate", "scores.parquet", "--picture"), "other.png", ".png picture"),
        (("evaluate", "scores.parquet", "--picture"), "other.svg", ".svg picture"),
        (("judge", "p.csv", "scores.parquet", "--output"), "other.html", "page"),
        (("judge", "p.csv", "scores.parquet", "--output", "j.html", "--json"), "other.json", "judgement"),
        (("watch", "a.mp4", "--output"), "other.mp4", "mp4 video"),
    ],
)
@pytest.mark.parametrize("journal", [False, True])
def test_a_file_of_another_kind_and_the_table_of_a_run_stay(
    scores: Path,
    arguments: tuple[str, ...],
    output: str,
    kind: str,
    journal: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = Path(output)
    content = b'{"first": 1}\n\0'
    there.write_bytes(content)
    sentence = f"{arguments[-1]} {output} is there, and is no {kind}: name another file, or remove it"
    if journal:
        Path(f"{output}.journal").touch()
        sentence = f"{arguments[-1]} {output} is the table of a run, whose journal lies beside it: name another file"
    before = scores.read_bytes()
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, output])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert (there.read_bytes(), scores.read_bytes()) == (content, before)


@pytest.mark.parametrize("name", ["kept.parquet", "kept.jsonl", "kept.txt"])
def test_a_list_replaces_the_list_of_an_earlier_run(
    scores: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for preset, kept in (("static", 1), ("chaotic", 2), ("static", 1)):
        assert main(["filter", str(scores), "--drop", preset, "--kept", name, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["kept"] == kept


def test_a_page_and_an_empty_file_are_replaced(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("page.html").touch()
    for _ in range(2):
        assert main(["report", str(scores), "--output", "page.html", "--examples", "0"]) == 0
    assert Path("page.html").read_text().startswith("<!doctype html>")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["report", str(scores), "--output", "page.txt"])
    assert "--output page.txt must end in .html" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("learn", "scores.parquet", *LEARN), ("first-pass", "calibrate", "scores.parquet", "--output")]
)
def test_a_missing_folder_is_said_before_the_work(
    scores: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scores.exists()
    assert main([*arguments, "none/x.json"]) == 1
    assert "cannot write none/x.json: No such file or directory" in capsys.readouterr().err
