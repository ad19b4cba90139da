"""A folder of clips and scores is of one run: others are refused, and leave it as it is."""

from pathlib import Path

import pytest

from bench.kept_run import MADE_BY, OtherRun, digest, kept_run, made_by

OURS = {"code": "1", "networks": "2", "packages": "av 18"}


def begin(directory: Path) -> None:
    """A run that was interrupted."""
    with kept_run(directory, OURS):
        (directory / "scores.jsonl").write_text("{}\n")


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    with kept_run(tmp_path / "run", dict(OURS)):
        assert (tmp_path / "run" / "scores.jsonl").read_text() == "{}\n"
    begin(tmp_path / "run")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"code": "x"}, "code"),
        ({"networks": "x", "packages": "av 19"}, "networks and packages"),
    ],
)
def test_another_run_is_refused_and_changes_nothing(changed: dict[str, str], named: str, tmp_path: Path) -> None:
    begin(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OtherRun, match=rf"is of a run with other {named}: delete it, or choose another --directory$"):
        kept_run(tmp_path, OURS | changed).__enter__()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("content", ["", "{", None])
def test_files_that_say_not_what_made_them_are_refused(content: str | None, tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl").write_text("{}\n")
    if content is not None:
        (tmp_path / MADE_BY).write_text(content)
    with pytest.raises(OtherRun, match="with other code and networks and packages"):
        kept_run(tmp_path, OURS).__enter__()


def test_an_empty_folder_is_anybodys(tmp_path: Path) -> None:
    with kept_run(tmp_path, OURS):
        pass
    with kept_run(tmp_path, OURS | {"code": "x"}):
        (tmp_path / "scores.jsonl").write_text("{}\n")
    with pytest.raises(OtherRun):
        kept_run(tmp_path, OURS).__enter__()


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    with kept_run(tmp_path, OURS), pytest.raises(OtherRun, match="another run is at work in"):
        kept_run(tmp_path, OURS).__enter__()
    begin(tmp_path)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("2")

    def found() -> str:
        return digest(["b.py", "part"], "*.py", tmp_path)

    first = found()
    (tmp_path / "part" / "a.txt").write_text("of no interest")
    assert digest(["part", "b.py"], "*.py", tmp_path) == found() == first
    (tmp_path / "part" / "a.py").write_text("3")
    assert (other := found()) != first
    (tmp_path / "part" / "a.py").rename(tmp_path / "part" / "c.py")
    assert found() not in (first, other)


def test_the_files_of_a_benchmark_count() -> None:
    ours = made_by("bench/learned.py")
    assert ours == made_by("bench/learned.py")
    assert ours["code"] != made_by("bench/verdicts/clips.py")["code"]
    assert "numpy 1." in ours["packages"]
