"""Tar shards as inputs: what is read of them, what is said about damage, and that a run goes on."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import pytest

import client._sdk.request
from client import Client, InvalidRequest, Score
from client._commands import score
from client._inputs.braces import expanded, has_braces
from client._inputs.choices import Choices
from client._inputs.errors import InputError
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._inputs.skipped import Skipped
from client._ray.waves import waves
from client._runs.table_run import run_table
from client._scenes.run import _Run as ScenesRun
from client._shards.archive import Archive, open_archive
from client._shards.names import shard_of
from client._shards.opening import open_stream
from client._shards.videos import LARGEST_NOTE, LARGEST_VIDEO, videos_of
from client._tables.table import read_table
from fixtures.fake_server import FakeServer, content, fake_server
from fixtures.shards import write_shard
from tests.stub_server import answer_everything
from tests.test_table import SCORE, WEIGHTS
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent
SHARDS = "shards/{000000..000002}.tar"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def samples(shard: int, count: int = 3) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for number in range(count):
        key = f"{shard}{number:03}"
        members |= {f"{key}.json": f'{{"id": {number}}}'.encode(), f"{key}.mp4": b"video %d" % (shard * 10 + number)}
        members[f"{key}.txt"] = f"words {number}\n".encode()
    return members


def write_shards() -> list[str]:
    """Three shards of three samples; the names that their videos get."""
    for shard in range(3):
        write_shard(Path(f"shards/{shard:06}.tar"), samples(shard))
    return [f"shards/{shard:06}.tar/{shard}{number:03}.mp4" for shard in range(3) for number in range(3)]


def items(*arguments: str, keep: str | None = None, **named: Any) -> tuple[list[Item], list[str]]:
    """The items, and what is said about the rest."""
    skipped = Skipped()
    found = [*Inputs(arguments, [], choices=Choices.of(None, None, keep), **named).items(skipped)]
    return found, skipped.sentences()


def taken(found: list[Item]) -> dict[str, bytes | None]:
    return {item.path: None if item.content is None else item.content.take() for item in found}


def column(path: str, name: str) -> list[Any]:
    return read_table(path).column(name).to_pylist()


class Stream(io.RawIOBase):
    """A file that cannot seek, as an object in a bucket."""

    def __init__(self, name: str) -> None:
        self._file = open_stream(name)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise AssertionError("it cannot seek")


def slow(name: str) -> BinaryIO:
    return cast(BinaryIO, Stream(name))


def test_each_video_in_a_shard_is_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = write_shards()
    server = answer_everything(monkeypatch)
    assert score.main([SHARDS, "--output", "scores.parquet", "--in-flight", "1"]) == 0
    assert column("scores.parquet", "video") == names
    assert server.videos == [b"video %d" % (shard * 10 + number) for shard in range(3) for number in range(3)]
    assert capsys.readouterr().err == "scores.parquet: 9 videos, 0 failed\n"
    os.remove("shards/000001.tar")
    assert score.main([SHARDS, "--output", "other.jsonl"]) == 1  # a shard that is missing costs its own videos alone
    assert sorted(column("other.jsonl", "video")) == [*names[:3], *names[6:]]
    assert "shards/000001.tar: cannot read the shard: No such file or directory" in capsys.readouterr().err
    assert score.main(["shards/000000.tar", "--format", "json"]) == 0
    assert capsys.readouterr().out.count('"video": "shards/000000.tar/000') == 3


def test_a_shard_is_found_by_its_name_wherever_it_stands() -> None:
    names = write_shards()
    (expected, _) = items(SHARDS)
    assert [*taken(expected)] == names
    for arguments in (["shards/*.tar"], [f"shards/00000{number}.tar" for number in range(3)], ["{shards,none}/*.tar"]):
        found, said = items(*arguments)
        assert sorted(taken(found)) == names
        assert said == []
    Path("list.txt").write_text("shards/000002.tar\nshards/000000.tar\n")
    assert sorted(item.path for item in Inputs([], ["list.txt"])) == [*names[:3], *names[6:]]
    write_shard(Path("more.tar.gz"), samples(7))
    assert taken(items("more.tar.gz")[0])["more.tar.gz/7001.mp4"] == b"video 71"
    assert items("more.tar.gz", any_name=True)[0] == items("more.tar.gz")[0]  # .json and .txt are no videos
    # A folder with the name of a shard is a folder, and a folder of shards says how to name them.
    Path("folder.tar").mkdir()
    Path("folder.tar/a.mp4").touch()
    assert items("folder.tar")[0] == [Item("folder.tar/a.mp4")]
    with pytest.raises(InputError, match=r"no videos, but other files: 3 \.tar .*; name shards by .*'shards/\*\.tar'"):
        items("shards")


def test_one_shard_under_two_names_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_shards()[:3]
    os.symlink("shards", "link")
    server = answer_everything(monkeypatch)
    same = ["shards/000000.tar", "./shards/000000.tar", os.path.abspath("shards/000000.tar"), "link/000000.tar"]
    assert score.main([*same, "--output", "scores.csv", "--in-flight", "1"]) == 0
    assert (column("scores.csv", "video"), len(server.videos)) == (names, 3)
    assert score.main([same[3], "--output", "scores.csv"]) == 0
    assert len(server.videos) == 3


@pytest.mark.parametrize("opened", [slow, open_stream])
@pytest.mark.parametrize("name", ["a.tar", "a.tgz"])
def test_members_are_read_with_and_without_seeking(name: str, opened: Callable[[str], BinaryIO]) -> None:
    members = {
        "./a.mp4": b"1" * 700_000,
        "deep/er/b.MOV": b"2",
        "notes.jpg": b"3" * 5000,
        "ü.mp4": b"4",
        "e.mp4": b"",
        "x" * 150 + ".mp4": b"5",
    }
    write_shard(Path(name), members)
    left_out: list[str] = []
    takes = Inputs(["-"], [])._choice.takes
    read = {video.name: video.data for video in videos_of(name, takes, left_out=left_out.append, opened=opened)}
    expected = {f"{name}/{member.removeprefix('./')}": data for member, data in members.items()}
    del expected[f"{name}/notes.jpg"]
    assert read == expected
    assert left_out == ["notes.jpg"]
    wanted = f"{name}/ü.mp4"
    unread = [video.name for video in videos_of(name, takes, wants=wanted.__eq__, opened=opened) if video.data is None]
    assert unread == [key for key in expected if key != wanted]


class Endless(io.RawIOBase):
    """A shard that no disk holds: videos of a mebibyte."""

    def __init__(self, count: int) -> None:
        self._parts = self._blocks(count)
        self._rest = b""

    def _blocks(self, count: int) -> Iterator[bytes]:
        for number in range(count):
            info = tarfile.TarInfo(f"{number:06}.mp4")
            info.size = 1 << 20
            yield info.tobuf()
            yield b"\1" * (1 << 20)
        yield bytes(1024)

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (block := next(self._parts, None)) is not None:
            self._rest += block
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def seekable(self) -> bool:
        return False


def test_a_shard_is_never_in_memory() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            videos = videos_of("a.tar", lambda _: True, opened=lambda _: cast(BinaryIO, Endless(count)))
            assert sum(len(video.data or b"") for video in videos) == count << 20
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(64) < 1.1 * peak(4) < 12 << 20


def test_a_video_that_no_request_can_carry_is_a_row_and_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST_VIDEO == client._sdk.request.MAX_BYTES
    info = tarfile.TarInfo("large.mp4")
    info.size = LARGEST_VIDEO + 1
    with open("a.tar", "wb") as file:  # a hole on the disk
        file.write(info.tobuf())
        file.seek(512 + -(-info.size // 512) * 512)
        small = tarfile.TarInfo("small.mp4")
        small.size = 5
        file.write(small.tobuf() + b"12345" + bytes(507 + 1024))
    server = answer_everything(monkeypatch)
    assert score.main(["a.tar", "--output", "scores.jsonl", "--in-flight", "1"]) == 1
    assert column("scores.jsonl", "video") == ["a.tar/large.mp4", "a.tar/small.mp4"]
    assert column("scores.jsonl", "error") == ["the file has 2.0 GiB; a request can carry 2 GiB", None]
    assert column("scores.jsonl", "reason") == ["too_large", None]
    assert server.videos == [b"12345"]


def test_what_is_no_file_in_a_shard_is_a_row() -> None:
    with tarfile.open("a.tar", "w") as tar:
        for name, kind in (("folder.mp4", tarfile.DIRTYPE), ("a.mp4", tarfile.LNKTYPE), ("b.mp4", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "c.mp4"
            tar.addfile(info)
    found, _ = items("a.tar")
    assert [item.path for item in found] == ["a.tar/a.mp4", "a.tar/b.mp4"]
    assert {str(item.problem) for item in found} == {"the member of the shard is a link or a device, not a file"}


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:size]


def overwritten(start: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:start] + b"\xa5" * 512 + data[start + 512 :]


def changed(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# Videos of 5000 bytes: headers at 0, 5632 and 11264; the end is at 16896.
DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], int, str]] = {
    "cut within a video": ("a.tar", cut(8000), 1, "the shard is truncated within b.mp4"),
    "cut within the padding of a video": ("a.tar", cut(5632 + 512 + 5010), 2, "the shard is truncated"),
    "cut between two videos": ("a.tar", cut(11264), 2, "the shard is truncated"),
    "cut within a header": ("a.tar", cut(11264 + 100), 2, "the shard is truncated"),
    "cut before its end": ("a.tar", cut(16896), 3, "the shard is truncated"),
    "a header overwritten": ("a.tar", overwritten(5632), 1, "the shard is damaged at byte 5,632"),
    "the first header overwritten": ("a.tar", overwritten(0), 0, "the file is no tar archive"),
    "another file": ("a.tar", lambda _: b"\x00\x00\x00\x18ftypmp42" + bytes(3000), 0, "the file is no tar archive"),
    "empty": ("a.tar", cut(0), 0, "the file is no tar archive"),
    "compressed, cut": ("a.tar.gz", cut(60_000), 1, "the shard is truncated within b.mp4"),
    "compressed, a byte changed": ("a.tar.gz", changed(20_000), 3, "the shard is damaged: CRC check failed"),
    "compressed, cut within its checksum": ("a.tar.gz", lambda data: data[:-6], 3, "the shard is truncated"),
    "compressed, another file": ("a.tgz", lambda _: b"no gzip", 0, "the file is no tar archive"),
}


@pytest.mark.parametrize("seeks", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_rows_before_the_damage_stand_and_the_damage_is_named(
    damage: str, seeks: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, change, whole, why = DAMAGES[damage]
    size = 50_000 if name.endswith("gz") else 5000
    videos = [os.urandom(size) for _ in range(3)]
    path = write_shard(Path(name), dict(zip(("a.mp4", "b.mp4", "c.mp4"), videos, strict=True)))
    path.write_bytes(change(path.read_bytes()))
    write_shard(Path("z.tar"), {"z.mp4": b"z"})
    if not seeks:
        monkeypatch.setattr("client._shards.videos.open_archive", lambda shard, _: open_archive(shard, slow))
    server = answer_everything(monkeypatch)
    assert score.main([name, "z.tar", "--output", "scores.csv", "--in-flight", "1"]) == 1
    if damage != "compressed, a byte changed":
        assert server.videos == [*videos[:whole], b"z"]
    assert column("scores.csv", "video") == [f"{name}/{member}.mp4" for member in "abc"[:whole]] + ["z.tar/z.mp4"]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{name}: {why}")
    assert said[0].endswith(f"; videos before that: {whole}") or not whole
    # The shard is repaired: the same command scores the rest.
    write_shard(Path(name), dict(zip(("a.mp4", "b.mp4", "c.mp4"), videos, strict=True)))
    assert score.main([name, "z.tar", "--output", "scores.csv", "--in-flight", "1"]) == 0
    assert len(server.videos) == 4
    assert sorted(column("scores.csv", "video")) == [f"{name}/{member}.mp4" for member in "abc"] + ["z.tar/z.mp4"]


def test_a_shard_without_videos_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer_everything(monkeypatch)
    write_shard(Path("a.tar"), {"a.jpg": b"1", "b.jpg": b"2", "b.json": b"{}"})
    assert score.main(["a.tar", "--output", "scores.csv"]) == 1
    assert "a.tar: the shard has no videos, but other files: 2 .jpg (--any tries every file)" in capsys.readouterr().err
    assert score.main(["a.tar", "--output", "scores.csv", "--any"]) == 0
    assert column("scores.csv", "video") == ["a.tar/a.jpg", "a.tar/b.jpg"]


# What stands beside a video.


def test_captions_and_ids_become_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_everything(monkeypatch)
    members = [
        ("a.json", b'{"id": 7, "tags": ["x", 1], "caption": "of the json"}'),
        ("a.mp4", b"1"),
        ("a.txt", b"of the txt"),
        ("b.mp4", b"2"),
        ("b.txt", "\ufeff two\nlines \n".encode()),
        ("c.mp4", b"3"),
        ("c.JSON", b'{"id": null, "frames": 9}'),
        ("deep/a.d.mp4", b"4"),
        ("deep/a.e.mp4", b"5"),
        ("deep/a.txt", b"both"),
        ("deep/a.meta.json", b'{"id": "another file"}'),
        ("f.mp4", b"6"),
    ]
    write_shard(Path("a.tar"), members)
    arguments = ["a.tar", "--keep", "caption,id,tags,n", "--columns", "n=frames", "--in-flight", "1"]
    assert score.main([*arguments, "--output", "scores.parquet"]) == 0
    assert column("scores.parquet", "caption") == ["of the json", "two\nlines", None, "both", "both", None]
    assert column("scores.parquet", "id") == ["7", None, None, None, None, None]
    assert column("scores.parquet", "tags") == ['["x", 1]', *[None] * 5]
    assert column("scores.parquet", "n") == [None, None, "9", None, None, None]


def test_what_cannot_be_read_beside_a_video_is_its_error_and_only_if_it_is_kept() -> None:
    large = b'"' + b" " * LARGEST_NOTE + b'"'
    members = {"a.mp4": b"1", "a.json": b"{", "b.mp4": b"2", "b.json": b"[]", "c.json": large, "c.mp4": b"3"}
    write_shard(Path("a.tar"), members)
    found, _ = items("a.tar", keep="id")
    assert [str(item.problem) for item in found] == [
        *["the .json beside it in the shard is no JSON object"] * 2,
        f"the .json beside it in the shard has {LARGEST_NOTE + 2:,} bytes, at most 16 MiB are read",
    ]
    assert taken(items("a.tar")[0]) == {"a.tar/a.mp4": b"1", "a.tar/b.mp4": b"2", "a.tar/c.mp4": b"3"}


def test_keep_is_for_lists_and_shards(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        score.main(["a.mp4", "--keep", "caption"])
    assert "--keep also for shards (.tar)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        score.main(["a.tar", "--path-template", "{id}.mp4"])


# A run goes on.


def client_that(during: Callable[[bytes], object]) -> Client:
    """Scores every video; `during` is called with each."""

    def answer(video: bytes, **_: float) -> Score:
        during(video)
        return SCORE

    return cast(Client, SimpleNamespace(weights=lambda: WEIGHTS, score=answer, is_ready=lambda: True))


@pytest.mark.parametrize("keep", [(), ("id", "caption")])
def test_a_run_goes_on_without_reading_what_it_has(keep: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_shards()
    read: list[str] = []
    reads = Archive.read

    def note(self: Archive, member: tarfile.TarInfo) -> bytes:
        read.append(member.name)
        return reads(self, member)

    monkeypatch.setattr(Archive, "read", note)
    inputs = Inputs([SHARDS], [], choices=Choices(keep=keep))

    def end_at_five(video: bytes) -> None:
        if video == b"video 11":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_table(client_that(end_at_five), inputs, Path("scores.jsonl"), {}, in_flight=1, kept=keep)
    before = column("scores.jsonl", "video")
    rest = [name for name in names if name not in before]  # what was in flight may have been scored
    assert names[4] in rest
    assert before[:4] == names[:4]
    read.clear()
    sent: list[bytes] = []
    assert run_table(client_that(sent.append), inputs, Path("scores.jsonl"), {}, in_flight=1, kept=keep) == 0
    assert len(sent) == len(rest)
    assert [name for name in read if name.endswith(".mp4")] == [name.rpartition("/")[2] for name in rest]
    assert column("scores.jsonl", "video") == [*before, *rest]
    if keep:
        captions = dict(zip(column("scores.jsonl", "video"), column("scores.jsonl", "caption"), strict=True))
        assert captions == {name: f"words {name[-5]}" for name in names}
    else:
        assert [name for name in read if not name.endswith(".mp4")] == []


def test_failures_are_retried_with_their_shards(capsys: pytest.CaptureFixture[str]) -> None:
    names = write_shards()
    sent: list[bytes] = []

    def refuse(video: bytes) -> None:
        sent.append(video)
        if video in (b"video 2", b"video 21"):
            raise InvalidRequest("it is cut off", reason="truncated")

    def run(inputs: Inputs | None, during: Callable[[bytes], object], retry_failed: bool = False) -> int:
        client = client_that(during)
        return run_table(client, inputs, Path("scores.csv"), {}, in_flight=1, retry_failed=retry_failed)

    assert run(Inputs([SHARDS], []), refuse) == 1
    sent.clear()
    assert run(None, sent.append, retry_failed=True) == 1
    assert "2 failures were not retried, only manifests and shards have them: name these too" in capsys.readouterr().err
    assert sent == []
    assert run(Inputs([SHARDS], []), sent.append, retry_failed=True) == 0
    assert sent == [b"video 2", b"video 21"]
    assert column("scores.csv", "video") == names
    assert column("scores.csv", "error") == [None] * 9


def scored(server: FakeServer, count: int) -> bool:
    return len({*server.asked("end")}) >= count


@pytest.mark.slow
def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    for shard in range(4):
        members = {f"{number:03}.mp4": content(shard * 25 + number) for number in range(25)}
        write_shard(Path(f"shards/{shard:06}.tar"), members)
    with fake_server(tmp_path / "notes", "--seconds", 0.05) as server:
        command = [sys.executable, "-m", "client.score", f"{tmp_path}/shards/{{000000..000003}}.tar"]
        command += ["--url", server.url, "--output", str(tmp_path / "scores.parquet"), "--in-flight", "4"]
        for kill_at in (10, 40, 70, None):
            with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
                if kill_at is None:
                    assert run.communicate()[1] == f"{tmp_path / 'scores.parquet'}: 100 videos, 0 failed\n"
                    assert run.returncode == 0
                else:
                    wait_for(partial(scored, server, kill_at))
                    run.send_signal(signal.SIGKILL)
        asked = Counter(server.asked("end"))
    table = read_table("scores.parquet").to_pylist()
    assert len({row["video"] for row in table}) == len(table) == 100
    assert sorted(row["camera_movement_score"] for row in table) == [*range(100)]
    assert {*asked} == {*range(100)}
    assert sum(asked.values()) <= 100 + 3 * 2 * 4


def test_ray_gets_the_bytes_of_members() -> None:
    names = write_shards()
    (wave,) = waves(Inputs([SHARDS], []).items(Skipped()))
    (block,) = wave.blocks
    assert [wave.items[number].path for number in block.column("number").to_pylist()] == names
    expected = [b"video %d" % (shard * 10 + number) for shard in range(3) for number in range(3)]
    assert block.column("content").to_pylist() == expected


# Names.


def test_names_in_a_store_that_may_be_prefixes_are_not_counted_first() -> None:
    """Each would be listed twice, and a store that is away would end the count with an exception."""
    assert not Inputs(["s3://bucket/{a,b}/"], []).can_be_counted
    assert Inputs(["s3://bucket/{a,b}.mp4"], []).can_be_counted


def test_braces_stand_for_names() -> None:
    assert [*expanded("a{08..11}.tar")] == ["a08.tar", "a09.tar", "a10.tar", "a11.tar"]
    assert [*expanded("{2..0}")] == ["2", "1", "0"]
    assert [*expanded("{a,b}/{0..1}{,x}")] == ["a/0", "a/0x", "a/1", "a/1x", "b/0", "b/0x", "b/1", "b/1x"]
    assert not any(map(has_braces, ("{a}", "{}", "{0...2}", "{0..a}", "a{b..c}")))
    Path("{0..3}.mp4").touch()
    assert items("{0..3}.mp4")[0] == [Item("{0..3}.mp4")]  # a file with this name
    Path("2.mov").touch()
    assert items("{1..2}.mov")[0] == [Item("1.mov"), Item("2.mov")]
    for folder in "ab":
        Path(folder).mkdir()
        Path(f"{folder}/notes.jpg").touch()
    assert items("{a,b}")[1][0] == "{a,b}: there are no videos"
    assert items("{a,c}/*.mp4") == ([], ["{a,c}/*.mp4: there are no videos"])
    Path("b/b.mp4").touch()
    assert items("{a,b}")[0] == [Item("b/b.mp4")]
    with pytest.raises(InputError, match=r"none of these files exists, from s/00\.tar to s/19\.tar"):
        items("s/{00..19}.tar")
    with pytest.raises(InputError, match="stands for 100,000,000 names; at most 10,000,000 are taken"):
        items("{00000000..99999999}.tar")


def test_a_video_that_a_list_names_in_a_shard_says_what_to_name() -> None:
    names = write_shards()
    Path("list.txt").write_text(f"{names[0]}\nnone.tar/a.mp4\n")
    first, second = Inputs([], ["list.txt"])
    assert str(first.problem) == "the video is in a shard, which is read as a whole: name shards/000000.tar"
    assert second == Item("none.tar/a.mp4")
    assert second.problem is None
    Path("x.tar").mkdir()
    assert [shard_of(name) for name in (names[3], "x.tar/a.mp4", "x.tar/y.TGZ/a.mp4", "a.tar", "a.tar/")] == [
        "shards/000001.tar",
        None,
        "x.tar/y.TGZ",
        None,
        None,
    ]


def test_scenes_of_a_video_in_a_shard_are_refused() -> None:
    item = Item("a.tar/a.mp4", member=True, unread=True)
    entry = ScenesRun._look(cast(ScenesRun, None), item)
    assert entry.error == "the video is in a shard, and scenes are parts of files on the disk"
