"""Which videos a command line names."""

import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from client._inputs.errors import InputError
from client._inputs.inputs import Inputs, refuse_missing
from client._inputs.item import Item


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.MOV", "notes.txt", "deep/er/c.webm", "deep/d.avi", ".hidden.mkv"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "videos"


def names(arguments: list[str], manifests: Sequence[str] = (), relative_to: Path | None = None) -> list[str]:
    paths = [item.path for item in Inputs(arguments, manifests)]
    return sorted(os.path.relpath(path, relative_to) for path in paths) if relative_to else paths


def test_a_folder_is_all_videos_below_it_and_no_link_leads_in_circles(folder: Path) -> None:
    (folder / "deep" / "loop").symlink_to(folder)
    expected = [".hidden.mkv", "a.mp4", "b.MOV", "deep/d.avi", "deep/er/c.webm"]
    assert names([str(folder)], relative_to=folder) == expected


def test_a_pattern_is_what_it_matches(folder: Path) -> None:
    assert names([f"{folder}/*.mp4"], relative_to=folder) == ["a.mp4"]
    assert names([f"{folder}/**/er/*.webm"], relative_to=folder) == ["deep/er/c.webm"]
    assert names([f"{folder}/de*"], relative_to=folder) == ["deep/d.avi", "deep/er/c.webm"]


def test_a_file_is_itself_whatever_its_name(folder: Path) -> None:
    odd = folder / "what [is] this*.mp4"
    odd.touch()
    assert names([str(odd), str(folder / "notes.txt"), "gone.mp4"]) == [str(odd), str(folder / "notes.txt"), "gone.mp4"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("list.txt", b"a.mp4\n\nwith space.mp4\r\n\xff.mp4", ["a.mp4", "with space.mp4", os.fsdecode(b"\xff.mp4")]),
        ("list.txt", "\ufeffü.mp4\n".encode(), ["ü.mp4"]),
        ("list.csv", b'id,path\n1,a.mp4\n2,"b, c.mp4"\n3,\n', ["a.mp4", "b, c.mp4"]),
        ("list.csv", b"video,error\na.mp4,none\n", ["a.mp4"]),
    ],
)
def test_a_manifest_names_a_video_a_line_or_in_a_column(
    name: str, content: bytes, expected: list, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert names([], [str(tmp_path / name)]) == expected


def test_a_manifest_may_name_parts(tmp_path: Path) -> None:
    with (tmp_path / "list.csv").open("w") as file:
        csv.writer(file).writerows([["path", "start_seconds", "end_seconds"], ["a.mp4", 1.5, 3], ["a.mp4", "", ""]])
    columns = {"path": ["a.mp4", "a.mp4"], "start_seconds": [1.5, None], "end_seconds": [3.0, None]}
    parquet.write_table(pa.table(columns), tmp_path / "list.parquet")
    for name in ("list.csv", "list.parquet"):
        items = [*Inputs([], [str(tmp_path / name)])]
        assert items == [Item("a.mp4", 1.5, 3.0), Item("a.mp4")]
        assert items[0].key != items[1].key
        assert items[0].part == {"start_seconds": 1.5, "end_seconds": 3.0}


@pytest.mark.parametrize("flag", ["", "--manifest"])
def test_names_on_standard_input_are_taken_as_they_come(flag: str) -> None:
    program = "import sys; from client._inputs.inputs import Inputs; a = sys.argv[1:]\n"
    program += "for item in Inputs(['-'] if not a[0] else [], ['-'] if a[0] else []): print(item.video, flush=True)"
    command = [sys.executable, "-c", program, flag]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a.mp4\n\xff.m")
        process.stdin.flush()
        assert process.stdout.readline() == b"a.mp4\n"
        process.stdin.write(b"p4\r\nlast.mp4")
        process.stdin.close()
        assert process.stdout.read() == b"\\xff.mp4\nlast.mp4\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty", None, "the folder has no videos"),
        ("*.nothing", None, "nothing matches this pattern"),
        ("gone.txt", None, "cannot read the manifest: No such file or directory"),
        ("list.txt", b"\n", "the manifest names no video"),
        ("list.csv", b"a,b\n1,2\n", "the manifest has no column 'path' or 'video'"),
        ("list.csv", b'path\n"a', "cannot read the manifest: unexpected end of data"),
        ("list.parquet", b"not parquet", "cannot read the manifest: .*Parquet"),
    ],
)
def test_what_names_nothing_is_an_error_that_says_so(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Inputs([], [str(path)]) if path.suffix in (".txt", ".csv", ".parquet") else Inputs([str(path)], [])


@pytest.mark.parametrize(
    "names", [["nofolder/"], ["gone", "nofolder"], ["s4://bucket/clips/"], ["s4://b/x.mp4", "gone"]]
)
def test_arguments_of_which_nothing_is_there_are_an_error_at_once(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    others = ", nor the other name" if len(names) > 1 else ""
    with pytest.raises(InputError) as raised:
        refuse_missing(names)
    assert str(raised.value) == f"{names[0]}: there is no such file or folder{others}"
    Path("there.mp4").touch()
    Path("list.txt").write_text("there.mp4\n")
    refuse_missing([*names, "there.mp4"])
    if "://" not in "".join(names):
        assert [item.path for item in Inputs([*names, "there.mp4"], [])] == [*names, "there.mp4"]  # rows say it
        assert [item.path for item in Inputs(names, ["list.txt"])] == [*names, "there.mp4"]
