"""Lists of videos as people have them: what each kind is read as, what is refused, and that a row never ends a run."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from client import Client
from client._commands import filter as filter_command
from client._commands import score
from client._inputs.errors import InputError
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._inputs.names import LONGEST_PATH, SHOWN, as_text, shown
from client._inputs.skipped import Skipped
from client._runs.run import Run, scoring
from client._runs.table_run import journal_of
from client._tables.table import read_table
from tests.stub_server import answer_everything

PART = {"start_seconds": 1.5}


def read(path: Path, skipped: Skipped | None = None) -> list[Item]:
    return [*Inputs([], [str(path)]).items(skipped or Skipped())]


def content_of(item: Item) -> bytes | None:
    return None if item.content is None else item.content.take()


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


TEXT = {
    "names": ("a.txt", "a.mp4\r\nü b.mp4\n"),
    "names without an ending": ("list", "a.mp4\nü b.mp4"),
    "names with our notes": ("dropped.txt", "a.mp4\tstatic,chaotic\nü b.mp4\tthe file is empty\n"),
    "CSV": ("a.csv", "id,path\n1,a.mp4\n2,ü b.mp4\n"),
    "CSV under another name": ("a.txt", "video,label\na.mp4,x\nü b.mp4,y\n"),
    "CSV of a European spreadsheet": ("a.csv", "id;path\n1;a.mp4\n2;ü b.mp4\n"),
    "CSV with quotes": ("a.csv", 'path,text\na.mp4,"two\nlines"\n"ü b.mp4",""\n'),
    "TSV": ("a.tsv", "video\tcaption\na.mp4\tone, two\nü b.mp4\tthree\n"),
    "TSV with quotes": ("a.tsv", 'video\tcaption\na.mp4\t"one" two\n"ü b.mp4"\t"three\n'),
    "TSV called CSV": ("a.csv", "video\tcaption\na.mp4\tone, two\nü b.mp4\tthree\n"),
    "metadata.csv of a video folder": ("metadata.csv", "file_name,text\na.mp4,x\nü b.mp4,y\n"),
    "JSON lines": ("a.jsonl", '{"path": "a.mp4"}\n\n{"path": "\\u00fc b.mp4"}\n'),
    "JSON lines under another name": ("a.txt", '{"video": "a.mp4", "x": []}\n{"video": "ü b.mp4"}\n'),
    "JSON lines of texts": ("a.ndjson", '"a.mp4"\n"ü b.mp4"\n'),
    "JSON array of texts": ("a.json", '["a.mp4", "ü b.mp4"]'),
    "JSON array of objects": ("a.json", '[\n {"path": "a.mp4"},\n {"path": "ü b.mp4"}\n]\n'),
    "JSON array under another name": ("a.txt", '\n[ {"video": {"path": "a.mp4", "bytes": null}}, "ü b.mp4" ]'),
    "JSON lines called JSON": ("a.json", '{"path": "a.mp4"}\n{"path": "ü b.mp4"}\n'),
}
ENCODINGS = {"UTF-8": "utf-8", "UTF-8 with a mark": "utf-8-sig"} | {
    f"UTF-16 {end} with a mark": end for end in ("utf-16-le", "utf-16-be")
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", TEXT)
def test_a_list_is_read_as_what_it_is(kind: str, encoding: str, tmp_path: Path) -> None:
    name, text = TEXT[kind]
    mark = "\ufeff" if "utf-16" in ENCODINGS[encoding] else ""
    (tmp_path / name).write_bytes((mark + text).encode(ENCODINGS[encoding]))
    skipped = Skipped()
    assert read(tmp_path / name, skipped) == [Item("a.mp4"), Item("ü b.mp4")]
    assert skipped.sentences() == []


@pytest.mark.parametrize(
    ("kind", "encoding"), [("names", "utf-8"), ("names", "utf-16"), ("JSON lines", "utf-8"), ("CSV", "utf-8-sig")]
)
def test_a_list_on_standard_input_is_read_as_what_it_is(kind: str, encoding: str) -> None:
    program = "from client._inputs.inputs import Inputs\nfor item in Inputs(['-'], []): print(ascii(item.path))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    given = TEXT[kind][1].replace("ü b.mp4", "\\u00fc b.mp4" if "JSON" in kind else "ü b.mp4").encode(encoding)
    result = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, env=environment)
    assert result.stdout.decode() == "'a.mp4'\n'\\xfc b.mp4'\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "path,start_seconds\na.mp4,1.5\n"),
        ("a.tsv", "start_seconds\tpath\n1.5\ta.mp4\n"),
        ("a.jsonl", '{"path": "a.mp4", "start_seconds": 1.5}\n'),
        ("a.jsonl", '{"video": "a.mp4", "parameters": {"fps": 8.0, "start_seconds": 1.5}}\n'),
        ("a.json", '[{"path": "a.mp4", "start_seconds": "1.5", "end_seconds": null}]'),
    ],
)
def test_every_kind_of_list_with_columns_may_name_parts(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert [item.part for item in read(tmp_path / name)] == [PART]


def test_the_lists_of_the_filter_are_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "b.mp4", "empty.mp4"):
        (tmp_path / name).write_text("" if name == "empty.mp4" else name)
    answer_everything(monkeypatch)
    arguments = ["a.mp4", "b.mp4", "empty.mp4", "--start", "1.5", "--fps", "8", "--output", "scores.jsonl"]
    assert score.main([*arguments, "--in-flight", "1"]) == 1  # the rows are in the order in which they are answered
    for ending in (".jsonl", ".parquet"):
        lists = [f"--{what}={what}{ending}" for what in ("kept", "dropped", "failed")]
        assert filter_command.main(["scores.jsonl", "--drop", "static", *lists]) == 0
        assert read(tmp_path / f"kept{ending}") == [Item("a.mp4", 1.5), Item("b.mp4", 1.5)]
        assert read(tmp_path / f"failed{ending}") == [Item("empty.mp4", 1.5)]


def test_the_elements_of_a_large_array_are_read_piece_by_piece(tmp_path: Path) -> None:
    rows: list[Any] = [{"video": f"{index}.mp4", "clips": ["x" * 30_000, index]} for index in range(50)]
    for separators in ((",", ":"), (" , ", ": ")):
        (tmp_path / "a.json").write_text(json.dumps([*rows, "last.mp4"], separators=separators))
        assert [item.path for item in read(tmp_path / "a.json")] == [*(f"{i}.mp4" for i in range(50)), "last.mp4"]


NO_LIST = {
    "YAML": ("videos.yaml", b"videos:\n  - a\n", "'videos:'"),
    "a web page": ("index.html", b"<!doctype html>\n<a href='a.mp4'>\n", "'<!doctype html>'"),
    "a table without paths": ("a.csv", b"id,size\n1,2\n", "'id,size'"),
    "a table without paths, as TSV": ("a.tsv", b"id\tsize\n1\t2\n", "'id\\tsize'"),
    "JSON of something else": ("package.json", b'{\n  "name": "x"\n}\n', "'{'"),
    "JSON lines of something else": ("a.jsonl", b'{"name": "x"}\n', '\'{"name": "x"}\''),
    "an array of numbers": ("a.json", b"[1, 2]", "'[1, 2]'"),
    "names and labels": ("train.txt", b"videos/a.avi 0\nvideos/b.avi 1\n", "'videos/a.avi 0'"),
    "a video": ("a.mp4", b"\0\0\0\x18ftypisom" + bytes(range(256)) * 9, "'\\x00\\x00\\x00\\x18ftypisom"),
    "a long line": ("a.txt", b"x" * 3_000_000, "'xxx"),
    "UTF-16 without a mark": (
        "a.txt",
        "a.mp4\r\nb.mp4\r\n".encode("utf-16-le"),
        "'a\\x00.\\x00m\\x00p\\x004\\x00'; if it is UTF-16, save it with a byte order mark or as UTF-8",
    ),
}


@pytest.mark.parametrize("kind", NO_LIST)
def test_what_is_no_list_is_refused_with_its_first_line(kind: str, tmp_path: Path) -> None:
    name, content, first_line = NO_LIST[kind]
    (tmp_path / name).write_bytes(content)
    expected = r"the manifest (is no list of videos|has no column 'path' or 'video')"
    with pytest.raises(InputError, match=expected) as raised:
        read(tmp_path / name)
    assert f"its first line is {first_line}" in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_relative_name_is_looked_for_beside_the_list_too(tmp_path: Path) -> None:
    for path in ("a.mp4", "one/a.mp4", "one/b.mp4", "two/b.mp4"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    lists = {"list.txt": "a.mp4\nb.mp4\ngone.mp4\n", "list.json": '["a.mp4", "b.mp4", "gone.mp4"]'}
    lists["list.csv"] = "path\na.mp4\nb.mp4\ngone.mp4\n"
    for name, text in lists.items():
        for folder in ("one", "two"):
            (tmp_path / folder / name).write_text(text)
        for one, two in (("one", "two"), (str(tmp_path / "one"), str(tmp_path / "two"))):
            items = Inputs([], [f"{one}/{name}", f"{two}/{name}"])
            expected = ["a.mp4", f"{one}/b.mp4", "gone.mp4", "a.mp4", f"{two}/b.mp4", "gone.mp4"]
            assert [item.path for item in items] == expected
    parquet.write_table(pa.table({"path": ["b.mp4"]}), tmp_path / "one" / "list.parquet")
    assert read(tmp_path / "one" / "list.parquet") == [Item(str(tmp_path / "one" / "b.mp4"))]


def test_a_pipe_is_a_list_that_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").touch()
    command = [sys.executable, "-c", "for index in range(30_000): print(f'{index}.mp4')"]  # more than a pipe holds
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        inputs = Inputs([], [f"/dev/fd/{process.stdout.fileno()}"])
        assert not inputs.can_be_counted
        assert len([*inputs]) == 30_000


# Parquet, as Hugging Face writes it.

FILES = [b"first video", b"second video", b"third"]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hugging_face(path: Path, rows: list[Any], column: str = "video", **more: list[Any]) -> Path:
    parquet.write_table(pa.table({column: pa.array(rows, STRUCT), **more}), path, row_group_size=2)
    return path


@pytest.mark.parametrize("column", ["video", "clip"])
def test_files_in_parquet_are_scored(column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = [
        {"bytes": data, "path": name} for data, name in zip(FILES, ["a.mp4", None, "c.mp4"], strict=True)
    ]
    (tmp_path / "d.mp4").write_bytes(b"a file")
    rows += [{"bytes": None, "path": "d.mp4"}, None, {"bytes": None, "path": None}]
    path = hugging_face(tmp_path / "train.parquet", rows, column, id=[*range(6)], start_seconds=[1.5] + [None] * 5)
    skipped = Skipped()
    items = read(path, skipped)
    assert [content_of(item) for item in items] == [*FILES, None]
    assert [item.part for item in items] == [PART, {}, {}, {}]
    assert skipped.rows == 2
    assert not Inputs([], [str(path)]).can_be_counted
    server = answer_everything(monkeypatch)
    arguments = ["--manifest", "train.parquet", "--output", "scores.parquet", "--in-flight", "1"]
    assert score.main(arguments) == 0
    assert server.videos == [*FILES, b"a file"]
    names = read_table("scores.parquet").column("video").to_pylist()
    assert names == ["a.mp4", "train.parquet#2", "c.mp4", "d.mp4"]
    # The run resumes, also when another part of the data set names the same files.
    hugging_face(tmp_path / "other.parquet", [{"bytes": b"another", "path": "a.mp4"}, rows[2]], column)
    assert score.main([*arguments, "--manifest", "other.parquet"]) == 0
    assert server.videos[4:] == [b"another"]


def test_a_column_of_bytes_is_files_and_a_column_of_other_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"path": ["x.mp4"] * 3, "video": pa.array(FILES, pa.large_binary())}), path)
    assert [content_of(item) for item in read(path)] == FILES
    parquet.write_table(pa.table({"video": [1, 2]}), path)
    with pytest.raises(InputError, match="the column 'video' of the manifest has type int64, not names or encoded"):
        read(path)
    parquet.write_table(pa.table({"id": [1, 2], "size": [3, 4]}), path)
    with pytest.raises(InputError, match="the manifest has no column 'path' or 'video'; it has id, size"):
        read(path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_names_in_parquet_may_have_any_type_of_text(kind: pa.DataType, tmp_path: Path) -> None:
    path = tmp_path / "list.bin"  # known by its content
    parquet.write_table(pa.table({"path": pa.array(["a.mp4", None, "ü.mp4"], kind)}), path)
    skipped = Skipped()
    assert read(path, skipped) == [Item("a.mp4"), Item("ü.mp4")]
    assert skipped.sentences() == ["1 row without a name was skipped"]


def test_failed_files_of_a_list_are_retried_with_the_list_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hugging_face(tmp_path / "a.parquet", [{"bytes": b"", "path": "a.mp4"}])
    (tmp_path / "a.csv").write_text("path,start_seconds\nb.mp4,soon\ngone.mp4,\n")
    server = answer_everything(monkeypatch)
    arguments = ["--manifest", "a.parquet", "--manifest", "a.csv", "--output", "scores.csv"]
    assert score.main(arguments) == 1
    before = read_table("scores.csv")
    (tmp_path / "gone.mp4").write_text("no longer")
    capsys.readouterr()
    assert score.main(["--output", "scores.csv", "--retry-failed"]) == 1
    said = capsys.readouterr().err
    assert "2 failures were not retried, only manifests and shards have them: name these too" in said
    assert server.videos == [b"no longer"]
    assert score.main([*arguments, "--retry-failed"]) == 1
    after = read_table("scores.csv")
    errors, errors_before = (
        dict(zip(table["video"].to_pylist(), table["error"].to_pylist(), strict=True)) for table in (after, before)
    )
    assert errors.keys() == errors_before.keys()
    assert {name: error for name, error in errors.items() if error} == {
        name: error for name, error in errors_before.items() if not name.endswith("gone.mp4")
    }
    assert after.num_rows == 3


# One row never ends a run.

LONG = "x" * 5000 + ".mp4"
BAD_ROWS = {
    "a NUL byte": ("a.txt", b"bad\0.mp4\n", "bad\\x00.mp4", "unreadable_file"),
    "5,000 characters": ("a.txt", f"{LONG}\n".encode(), "x" * SHOWN + "…", "unreadable_file"),
    "5,000 characters in a folder": ("a.txt", b"y/" * 2500 + b".mp4\n", ("y/" * 2500)[:SHOWN] + "…", "unreadable_file"),
    "a folder": ("a.txt", b"folder.mp4\n", "folder.mp4", "unreadable_file"),
    "no time": ("a.csv", b"path,start_seconds\na.mp4,soon\n", "a.mp4", "invalid_parameter"),
    "a negative time": ("a.csv", b"path,end_seconds\na.mp4,-1\n", "a.mp4", "invalid_parameter"),
    "a time without end": ("a.jsonl", b'{"path": "a.mp4", "end_seconds": 1e999}\n', "a.mp4", "invalid_parameter"),
    "a time that is a list": ("a.jsonl", b'{"path": "a.mp4", "end_seconds": [1]}\n', "a.mp4", "invalid_parameter"),
    "half a surrogate": ("a.jsonl", b'{"path": "\\ud800.mp4"}\n', "\\xed\\xa0\\x80.mp4", "unreadable_file"),
    "half an object": ("a.jsonl", b'{"path": "good.mp4"}\n{"path": "a.m\n', "a.jsonl#2", "unreadable_file"),
    "an object without a path": ("a.jsonl", b'{"path": "good.mp4"}\n{"name": 1}\n', "a.jsonl#2", "unreadable_file"),
    "a number as a path": ("a.jsonl", b'{"path": 5}\n', "a.jsonl#1", "unreadable_file"),
    "deep JSON": ("a.jsonl", b'{"path": "good.mp4"}\n' + b"[" * 100_000 + b"\n", "a.jsonl#2", "unreadable_file"),
    "no CSV": ("a.csv", b'path\n"a.mp4"b\n', "a.csv#2", "unreadable_file"),
    "a cell without end": ("a.csv", b"path,x\na.mp4," + b"x" * 200_000 + b"\n", "a.csv#2", "unreadable_file"),
    "an element that is no video": ("a.json", b'["good.mp4", 7]', "a.json#2", "unreadable_file"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_a_row_with_a_reason_and_the_rest_is_scored(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, video, reason = BAD_ROWS[kind]
    good = {".txt": b"good.mp4\n", ".csv": b"good.mp4\n", ".jsonl": b'{"path": "good.mp4"}\n', ".json": b""}
    (tmp_path / name).write_bytes(content + good[Path(name).suffix])
    (tmp_path / "folder.mp4").mkdir()
    for file in ("good.mp4", "a.mp4"):
        (tmp_path / file).write_text("a video")
    answer_everything(monkeypatch)
    for output in ("scores.parquet", "scores.jsonl", "scores.csv"):
        assert score.main(["--manifest", name, "--output", output]) == 1
        rows = {row["video"]: row for row in read_table(output).to_pylist()}
        assert rows.keys() == {"good.mp4", video}
        assert rows["good.mp4"]["error"] is None
        assert rows[video]["reason"] == reason
        assert len(rows[video]["error"]) < 300
        capsys.readouterr()
        assert score.main(["--manifest", name, "--output", output]) == 1  # it resumes
        assert read_table(output).num_rows == 2
    capsys.readouterr()
    assert score.main(["--manifest", name]) == 1
    out, err = capsys.readouterr()
    assert {json.loads(line)["video"] for line in out.splitlines()} == {"good.mp4"}
    assert all(len(line) < 500 for line in err.splitlines())


def test_a_row_with_a_part_besides_that_of_the_command_line_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("path,start_seconds\na.mp4,\nb.mp4,2\nc.mp4,\n")
    (tmp_path / "b.csv").write_text("path,start_seconds\nb.mp4,2\nc.mp4,\n")
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_text("a video")
    answer_everything(monkeypatch)
    sentence = "b.mp4: both the manifest and the command line select a part of the video\n"
    assert score.main(["--manifest", "a.csv", "--start", "1", "--output", "scores.csv"]) == 1
    rows = {row["video"]: row["reason"] for row in read_table("scores.csv").to_pylist()}
    assert rows == {"a.mp4": None, "b.mp4": "invalid_parameter", "c.mp4": None}
    assert sentence in capsys.readouterr().err
    assert score.main(["--manifest", "a.csv", "--start", "1"]) == 1
    assert sentence in capsys.readouterr().err
    assert score.main(["--manifest", "b.csv", "--start", "1", "--output", "other.csv"]) == 2
    assert capsys.readouterr().err.endswith(sentence)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b'path\ngood.mp4\n"a.mp4\n', "a.csv: cannot read the manifest: unexpected end of data"),
        ("a.json", b'["good.mp4", {"path": "a', "element 2 of the array is not whole JSON"),
        ("a.json", b'["good.mp4" : "b.mp4"]', "element 2 of the array is not whole JSON"),
    ],
)
def test_a_list_that_breaks_off_is_said_and_what_it_named_is_scored(
    name: str, content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.mp4").write_text("a video")
    answer_everything(monkeypatch)
    assert score.main(["--manifest", name, "--output", "scores.csv"]) == 1
    assert message in capsys.readouterr().err
    assert read_table("scores.csv").column("video").to_pylist() == ["good.mp4"]
    assert score.main(["--manifest", name]) == 1
    assert message in capsys.readouterr().err


@settings(max_examples=150)
@given(
    st.sampled_from(["a.txt", "a.csv", "a.jsonl", "a.json", "a.tsv", "a.parquet"]),
    st.sampled_from([b"", b"path\n", b'{"path": "a.mp4"}\n', b'["a.mp4", ', b"a.mp4\n", b"\xff\xfea\0\n\0", b"PAR1"]),
    st.binary(max_size=60),
)
def test_whatever_a_list_holds_it_is_read_or_refused(name: str, start: bytes, content: bytes) -> None:
    Path(name).write_bytes(start + content)
    items, refusal = [], ""
    try:
        items = read(Path(name))
    except InputError as error:
        refusal = str(error)
    assert items or 0 < len(refusal) < 1000
    for item in items:
        assert len(item.video) <= LONGEST_PATH
        assert item.key
        assert item.place is None or len(item.place) == 16
        assert "\n" not in item.shown


def test_files_of_a_list_are_forgotten_when_they_were_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hugging_face(tmp_path / "a.parquet", [{"bytes": data, "path": None} for data in FILES])
    answer_everything(monkeypatch)
    with Client("localhost:9") as client:
        results = [*Run(scoring(client, {}), Inputs([], [str(path)]), in_flight=2)]
    assert len(results) == 3
    assert [content_of(result.item) for result in results] == [b""] * 3


def test_a_terminal_that_does_not_know_a_character_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ü.mp4", "z.mp4"):
        (tmp_path / name).write_text("a video")
    answer_everything(monkeypatch)
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert score.main(["ü.mp4", "z.mp4", "--format", "table"]) == 0
    terminal.flush()
    printed = terminal.buffer.getvalue().decode()
    assert "\\xfc.mp4  3.50 s" in printed
    assert "z.mp4  3.50 s" in printed


# Names are cut.


@settings(max_examples=100)
@given(st.text(max_size=50), st.sampled_from([1, 50, 500]))
def test_names_are_cut_and_can_be_written(name: str, times: int) -> None:
    name *= times
    as_text(name).encode()
    assert "\0" not in as_text(name)
    assert len(as_text(name)) <= LONGEST_PATH
    assert len(shown(name)) <= SHOWN
    assert shown(name).isprintable() or not shown(name).isascii()


def test_a_name_that_a_file_can_have_is_whole_in_tables(tmp_path: Path) -> None:
    name = "/".join(["x" * 200] * 20)
    assert as_text(name) == name
    assert shown(name) == name[:127] + "…" + name[-128:]
    assert as_text("x" * 5000) == "x" * SHOWN + "…"
    assert shown("a\nb\x1b[2J.mp4") == "a\\nb\\x1b[2J.mp4"


def test_long_names_make_neither_messages_nor_tables_nor_journals_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{index}" + "x" * 100_000 + ".mp4" for index in range(20)]
    (tmp_path / "list.txt").write_text("\n".join([*names, names[0]]))
    answer_everything(monkeypatch)
    assert score.main(["--manifest", "list.txt", "--output", "scores.jsonl"]) == 1
    assert len(capsys.readouterr().err) < 20 * 500
    assert read_table("scores.jsonl").num_rows == 20
    assert Path("scores.jsonl").stat().st_size < 20 * 1000
    assert journal_of(Path("scores.jsonl")).stat().st_size < 20 * 2 * LONGEST_PATH
    assert score.main(["--manifest", "list.txt", "--output", "scores.jsonl"]) == 1
    assert read_table("scores.jsonl").num_rows == 20
