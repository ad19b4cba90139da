"""Files of folders and patterns: links, loops, files that are no videos by name, folders that cannot be read."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client._commands import score
from client._inputs.errors import InputError
from client._inputs.inputs import Inputs
from client._inputs.skipped import Skipped
from client._inputs.suffixes import SUFFIXES
from client._tables.table import read_table
from tests.stub_server import answer_everything


def make(root: Path, *files: str, links: dict[str, str] | None = None) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name, target in (links or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    return root


def found(root: Path, argument: str, skipped: Skipped | None = None, **options: bool) -> list[str]:
    """The real files that an argument names, as they are below `root`; each has to come once."""
    items = Inputs([os.path.join(root, argument)], [], **options).items(skipped or Skipped())  # type: ignore[arg-type]
    names = [os.path.relpath(os.path.realpath(item.path), root) for item in items]
    assert len(names) == len(set(names))
    return sorted(names)


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Folders and files on other disks that a data set has links to, and loops."""
    return make(
        tmp_path.resolve(),
        *("disk1/a.mp4", "disk2/b.mp4", "dataset/c.mp4", "loops/d.mp4"),
        links={
            "dataset/part1": "../disk1",
            "dataset/part2": "../disk2",
            "dataset/linked-file.mp4": "../disk2/b.mp4",
            "dataset/loop": ".",
            "only-links/part1": "../disk1",
            "loops/l1": ".",
            "loops/l2": ".",
        },
    )


EVERYTHING = ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4", "loops/d.mp4"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (".", EVERYTHING),
        ("**/*.mp4", EVERYTHING),
        ("**", EVERYTHING),
        ("**/*", EVERYTHING),
        ("*", EVERYTHING),
        ("**/**/*.mp4", EVERYTHING),
        ("dataset", ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4"]),
        ("dataset/*", ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4"]),
        ("dataset/**/*.mp4", ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4"]),
        ("**/", EVERYTHING),
        ("dataset/**/", ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4"]),
        ("dataset/*/", ["dataset/c.mp4", "disk1/a.mp4", "disk2/b.mp4"]),
        ("dataset/part[12]/*.mp4", ["disk1/a.mp4", "disk2/b.mp4"]),
        ("dataset/**/part2/*.mp4", ["disk2/b.mp4"]),
        ("dataset/loop/loop/**/part1", ["disk1/a.mp4"]),
        ("d*/../d*/b.mp4", ["disk2/b.mp4"]),
        ("only-links", ["disk1/a.mp4"]),
        ("loops/**/*.mp4", ["loops/d.mp4"]),
        ("loops/l1", ["loops/d.mp4"]),
    ],
)
def test_links_are_followed_and_each_real_file_comes_once(argument: str, expected: list[str], data_set: Path) -> None:
    assert found(data_set, argument) == expected


def test_names_are_those_without_links_where_a_folder_has_both(tmp_path: Path) -> None:
    make(tmp_path, "real/a.mp4", links={"link": "real"})
    assert [item.path for item in Inputs([str(tmp_path)], [])] == [str(tmp_path / "real" / "a.mp4")]


def test_a_link_to_a_file_without_the_name_of_a_video_is_one(tmp_path: Path) -> None:
    """As the cache of a hub has them."""
    links = {"snapshots/1/a.mp4": "../../blobs/0a1b", "snapshots/2/a.mp4": "../../blobs/0a1b"}
    for blobs in ("blobs", "z-blobs"):
        root = make(tmp_path / blobs, f"{blobs}/0a1b", f"{blobs}/0c.json")
        make(root, links={name: target.replace("blobs", blobs) for name, target in links.items()})
        skipped = Skipped()
        assert found(root.resolve(), ".", skipped) == [f"{blobs}/0a1b"]
        assert skipped.files() == "1 .json"


def test_a_link_that_leads_nowhere_is_a_video_that_cannot_be_read(tmp_path: Path) -> None:
    links = {"gone.mp4": "nowhere.mp4", "self.mp4": "self.mp4"}
    make(tmp_path, "a.mp4", links=links)
    for argument in (tmp_path, tmp_path / "*.mp4"):
        assert len([*Inputs([str(argument)], [])]) == 3


def folders() -> Iterator[str]:
    yield from ("", "x", "x/y", "x/y/z", "w")


@settings(max_examples=60)
@given(
    files=st.sets(st.tuples(st.sampled_from([*folders()]), st.sampled_from(["a.mp4", "b.mkv"])), min_size=1),
    links=st.lists(
        st.tuples(st.sampled_from([*folders()]), st.sampled_from("klm"), st.sampled_from([*folders(), "x/a.mp4"])),
        max_size=6,
    ),
)
def test_whatever_links_there_are_the_walk_ends_and_has_every_file_once(
    files: set[tuple[str, str]], links: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = make(tmp_path_factory.mktemp("tree").resolve(), *("/".join(file).lstrip("/") for file in files))
    for folder in folders():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder, name, target in links:
        link = root / folder / (f"{name}.mp4" if target.endswith(".mp4") else name)
        if not os.path.lexists(link):
            link.symlink_to(root / target)
    expected = sorted(os.path.join(*file) for file in files)
    broken = not (root / "x/a.mp4").exists()  # a link to it then is a video that cannot be read
    for argument in (".", "**/*.*", "**", "*"):
        assert [name for name in found(root, argument) if not (broken and name == "x/a.mp4")] == expected


def test_files_that_are_no_videos_by_name_are_counted_by_ending(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.JPG", "sub/c.jpg", "sub/notes", "d.tar.gz", "e.what is this", ".hidden")
    skipped = Skipped()
    assert found(tmp_path.resolve(), ".", skipped) == ["a.mp4"]
    expected = "2 .jpg, 2 without an ending, 1 .gz, 1 with other endings"
    assert sorted(skipped.files().split(", ")) == sorted(expected.split(", "))
    (said,) = skipped.sentences()
    assert said.startswith("6 files that are no videos by their names were skipped: 2 ")
    assert said.endswith(" (--any tries every file)")
    assert len(found(tmp_path.resolve(), ".", skipped, any_name=True)) == 6
    assert [said.partition("/./")[2] for said in skipped.troubles] == ["d.tar.gz: the file is no tar archive"]


def test_a_folder_with_many_endings_is_said_in_a_line(tmp_path: Path) -> None:
    skipped = Skipped()
    for index in range(3000):
        skipped.file(f"a.x{index}")
    (said,) = skipped.sentences()
    assert said.startswith("3,000 files")
    assert len(said) < 300
    assert len(skipped.endings) <= 1001


def test_a_folder_without_videos_says_what_it_has_instead(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=r"the folder has no videos, but other files: 1 \.jpg \(--any tries"):
        Inputs([str(tmp_path)], [])


@pytest.mark.parametrize("ending", [".ts", ".m2ts", ".mpg", ".vob", ".flv", ".wmv", ".gif", ".asf", ".ogv", ".3gp"])
def test_the_endings_of_data_sets_are_known(ending: str) -> None:
    assert ending in SUFFIXES


def test_the_documentation_has_the_endings() -> None:
    text = (Path(__file__).parent.parent / "docs" / "formats.md").read_text()
    section = text.partition("### Names of videos")[2].partition("\n#")[0]
    assert set(re.findall(r"`(\.\w+)`", section)) == set(SUFFIXES)


def test_a_folder_with_the_name_of_a_video_is_gone_through_or_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "a.mp4", "full.mp4/b.mp4", "empty.mp4/notes.txt", "deep.mp4/in.mp4/there.mp4/nothing.txt")
    answer_everything(monkeypatch)
    empty = "empty.mp4: cannot read the file: it is a directory or a device"
    arguments: list[list[str]] = [["."], ["*.mp4"], ["**/*.mp4"], ["a.mp4", "full.mp4", "empty.mp4"]]
    monkeypatch.chdir(tmp_path)
    for argument in arguments:
        assert score.main(argument) == 1
        out, err = capsys.readouterr()
        assert out.count('"video": ') == 2
        assert empty in err


def test_a_folder_that_cannot_be_read_is_said_and_the_rest_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "videos/a.mp4", "videos/closed/b.mp4")
    answer_everything(monkeypatch)
    real = os.scandir

    def scandir(path: str) -> object:  # root may read everything
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("client._inputs.walk.os.scandir", scandir)
    output = tmp_path / "scores.csv"
    assert score.main([str(tmp_path / "videos"), "--output", str(output)]) == 1
    assert read_table(output).num_rows == 1
    assert f"{tmp_path}/videos/closed: cannot read the folder: Permission denied\n" in capsys.readouterr().err
    for argument in ("videos", "videos/**/*"):  # it is said once
        skipped = Skipped()
        assert len([*Inputs([str(tmp_path / argument)], []).items(skipped)]) == 1
        assert skipped.trouble_count == 1
    with pytest.raises(InputError, match="cannot read the folder: Permission denied"):
        Inputs([str(tmp_path / "videos" / "closed")], [])


def test_the_end_of_a_run_says_what_was_skipped_and_any_tries_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "a.mp4", "b.jpg")
    server = answer_everything(monkeypatch)
    sentence = "1 file that is no video by its name was skipped: 1 .jpg (--any tries every file)\n"
    output = tmp_path / "scores.jsonl"
    closing = f"{output}: 1 video, 0 failed\n"
    for options in ([], ["--output", str(output)], ["--output", str(output)]):
        assert score.main([str(tmp_path), *options]) == 0
        assert capsys.readouterr().err == sentence + (closing if options else "")
    server.videos.clear()
    assert score.main([str(tmp_path), "--any", "--output", str(output)]) == 0
    assert capsys.readouterr().err == f"{output}: 2 videos, 0 failed\n"
    assert server.videos == [b"b.jpg"]  # neither the table nor its journal
    assert read_table(output).num_rows == 2


def test_a_video_has_one_row_whatever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "videos/a.mp4", "videos/b.mp4", links={"link": "videos", "videos/c.mp4": "a.mp4"})
    (tmp_path / "list.txt").write_text("videos/a.mp4\n./videos/../videos/b.mp4\n")
    server = answer_everything(monkeypatch)
    monkeypatch.chdir(tmp_path)
    everything = ["videos", str(tmp_path / "videos"), "link", "link/../videos/a.mp4", "--manifest", "list.txt"]
    assert score.main([*everything, "--output", "scores.parquet", "--in-flight", "3"]) == 0
    assert read_table("scores.parquet").num_rows == 2
    for argument in everything[:-2]:
        assert score.main([argument, "--output", "scores.parquet"]) == 0
    monkeypatch.chdir("videos")
    assert score.main(["b.mp4", "--output", "../scores.parquet"]) == 0
    assert read_table("../scores.parquet").num_rows == 2
    assert len(server.videos) == 2
    # Parts of it are other rows.
    Path("parts.csv").write_text("path,start_seconds\na.mp4,1\nc.mp4,1\na.mp4,2\n")
    assert score.main(["--manifest", "parts.csv", "--output", "../scores.parquet"]) == 0
    assert read_table("../scores.parquet").num_rows == 4


def test_a_failure_is_retried_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    answer_everything(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert score.main(["a.mp4", "--output", "scores.csv"]) == 1
    (tmp_path / "a.mp4").write_text("a video")
    assert score.main([str(tmp_path / "a.mp4"), "--output", "scores.csv"]) == 1
    assert score.main([str(tmp_path / "a.mp4"), "a.mp4", "--output", "scores.csv", "--retry-failed"]) == 0
    table = read_table("scores.csv")
    assert (table.num_rows, table.column("error").null_count) == (1, 1)
