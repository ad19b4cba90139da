"""`filter --kept-shards`: shards with the samples that are kept, bytes unchanged."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from client._commands import kept_shards
from client._commands.filter import main
from fixtures.score_tables import write_scores
from fixtures.shards import read_shard, write_shard

STATIC, MOVING = (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)
MEMBERS = {
    "./0.json": b"{}",
    "./0.mp4": b"zero" * 999,
    "./0.txt": b"a caption",
    "1.mp4": b"one",
    "1.wav": b"sound",
    "2.left.mp4": b"left",
    "2.right.mp4": b"right",
    "2.json": b'{"id": 2}',
    "ü.mp4": b"u",
}


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scores(rows: dict[str, tuple[float, float, float] | str]) -> str:
    return str(write_scores(Path("scores.parquet"), [*rows.values()], videos=[*rows]))


def table() -> str:
    write_shard(Path("in/a.tar"), MEMBERS)
    write_shard(Path("in/b.tar.gz"), MEMBERS)
    write_shard(Path("in/c.tar"), MEMBERS)
    rows: dict[str, tuple[float, float, float] | str] = {
        "in/a.tar/0.mp4": MOVING,
        "in/a.tar/1.mp4": STATIC,
        "in/a.tar/2.left.mp4": MOVING,
        "in/a.tar/2.right.mp4": STATIC,
        "in/a.tar/ü.mp4": "the video has no video stream",
        "in/b.tar.gz/ü.mp4": MOVING,
        "in/c.tar/1.mp4": STATIC,
    }
    return scores(rows)


def run(*arguments: str) -> int:
    return main([*arguments, "--drop", "static", "--kept-shards", "kept"])


def test_kept_videos_and_what_stands_beside_them_are_copied(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(table(), "--kept", "kept.txt") == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["kept"], counts["kept_shards"]) == (3, 2)
    assert sorted(os.listdir("kept")) == [".kept-shards.json", "a.tar", "b.tar"]  # nothing of c.tar is kept
    names = ["./0.json", "./0.mp4", "./0.txt", "2.left.mp4", "2.json"]
    assert read_shard(Path("kept/a.tar")) == {name: MEMBERS[name] for name in names}
    assert read_shard(Path("kept/b.tar")) == {"ü.mp4": b"u"}
    with tarfile.open("in/a.tar") as before, tarfile.open("kept/a.tar") as after:
        for member in after:
            there = before.getmember(member.name)
            assert (member.size, member.mtime, member.mode) == (there.size, there.mtime, there.mode)
    assert Path("kept/a.tar").read_bytes().endswith(bytes(1024))  # it has an end
    assert Path("kept.txt").read_text().split() == ["in/a.tar/0.mp4", "in/a.tar/2.left.mp4", "in/b.tar.gz/ü.mp4"]
    assert run("scores.parquet") == 0  # again


def test_a_shard_of_somebody_else_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    scored = table()
    write_shard(Path("kept/b.tar"), {"other.mp4": b"other"})
    before = Path("kept/b.tar").read_bytes()
    assert run(scored) == 1
    sentence = "kept/b.tar is there, and --kept-shards did not write it: choose another folder\n"
    assert capsys.readouterr().err.endswith(sentence)
    assert Path("kept/b.tar").read_bytes() == before
    assert os.listdir("kept") == ["b.tar"]


def test_a_shard_appears_whole_and_no_list_without_the_shards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = table()
    seen: list[list[str]] = []
    add = kept_shards._add

    def look(*arguments: object) -> None:
        seen.append(sorted(name for name in os.listdir("kept") if name.endswith(".tar")))
        add(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kept_shards, "_add", look)
    os.remove("in/b.tar.gz")
    assert run(scored, "--kept", "kept.txt") == 1
    assert "in/b.tar.gz: cannot read the shard: No such file or directory" in capsys.readouterr().err
    assert seen == [[]] * 5
    assert sorted(os.listdir("kept")) == [".kept-shards.json", "a.tar"]
    assert not os.path.exists("kept.txt")


def test_a_shard_that_is_damaged_behind_what_is_kept_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    write_shard(Path("in/a.tar"), {"0.mp4": b"0" * 600, "0.txt": b"a", "1.mp4": b"1" * 600})
    whole = Path("in/a.tar").read_bytes()
    Path("in/a.tar").write_bytes(whole[: 1536 + 1024 + 512 + 100])
    scored = scores({"in/a.tar/0.mp4": MOVING})
    assert run(scored) == 0
    assert "NOTE: in/a.tar: the shard is truncated" in capsys.readouterr().err
    assert read_shard(Path("kept/a.tar")) == {"0.mp4": b"0" * 600, "0.txt": b"a"}
    assert Path("kept/a.tar").read_bytes().endswith(bytes(1024))
    Path("in/a.tar").write_bytes(whole[: 1536 + 512])  # what stands beside it may be missing
    assert run(scored) == 1
    assert "the shard is truncated" in capsys.readouterr().err
    assert read_shard(Path("kept/a.tar")) == {"0.mp4": b"0" * 600, "0.txt": b"a"}  # as before


REFUSED = {
    "in no shard": ({"a.mp4": MOVING}, "a.mp4 is in no shard: --kept-shards is for tables of shard.tar/member"),
    "another shard": ({"in/a.tar/9.mp4": MOVING}, "in/a.tar has no member 9.mp4: it is not what was scored"),
    "one name": ({"in/a.tar/0.mp4": MOVING, "in/x/a.tar/0.mp4": MOVING}, "have the same name"),
    "itself": ({"kept/a.tar/0.mp4": MOVING}, "kept/a.tar: --kept-shards would replace the shard itself"),
    "an older one": ({"in/a.tar/0.mp4": MOVING}, "kept/old.tar is there, and nothing of a shard of this name is kept"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_right_is_refused(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows, why = REFUSED[case]
    table()
    for name in ("in/x/a.tar", *(["kept/a.tar"] * (case == "itself")), *(["kept/old.tar"] * (case == "an older one"))):
        write_shard(Path(name), MEMBERS)
    assert run(scores({**rows})) == 1
    assert why in capsys.readouterr().err
    assert not os.path.exists("kept/a.tar") or case == "itself"
