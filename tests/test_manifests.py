"""Lists of the data sets that people have, lists with columns of other names, and what of them goes into the table."""

import csv
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

from client._commands import filter as filter_command
from client._commands import score
from client._inputs.choices import Choices
from client._inputs.errors import InputError
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._inputs.skipped import Skipped
from client._inputs.template import Template
from client._inputs.times import seconds_of
from client._tables.table import read_metadata, read_table
from client.errors import InvalidRequest
from tests.stub_server import answer_everything

HD_VG = {
    "abc": {
        "url": "https://example.org/abc",
        "clip": {
            "abc.0.mp4": {
                "span": ["00:01:00.500", "00:01:20.000"],
                "fps": 25,
                "scene_split": [
                    {"clip_id": "abc.0.0", "caption": "a dog", "scene_cut": [0, 50]},
                    {"clip_id": "abc.0.1", "caption": "a cat", "scene_cut": [50, -1]},
                ],
            },
            "abc.1.mp4": {"span": ["00:02:00", "00:02:03"], "fps": 30, "scene_split": []},
        },
    },
    "d_e": {
        "url": "https://example.org/d_e",
        "clip": {"d_e.0.mp4": {"span": ["0:00:01", "1:00:02"], "fps": 29.97, "scene_split": [{"scene_cut": [0, -1]}]}},
    },
}
HD_VG_PARTS = [("abc", 60.5, 62.5), ("abc", 62.5, 80.0), ("abc", 120.0, 123.0), ("d_e", 1.0, 3602.0)]
HD_VILA = [
    {"video_id": "abc", "url": "u", "clip": [{"clip_id": "abc.0.mp4", "span": ["00:00:17.759", "00:00:23.279"]}]},
    {"video_id": "d_e", "url": "u", "clip": [{"clip_id": "d_e.0.mp4", "span": ["00:00:01", "00:00:02"]}]},
]
KINETICS = "label,youtube_id,time_start,time_end,split\nriding a bike,abc,8,18,train\nyoga,d_e,0.5,10,val\n"
KINETICS_PARTS = [("abc", 8.0, 18.0), ("d_e", 0.5, 10.0)]


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(
    name: str, columns: str | None = None, template: str | None = None, keep: str | None = None
) -> tuple[list[Item], list[str]]:
    """The items of a list, and what it was read as."""
    inputs = Inputs([], [name], choices=Choices.of(columns, template, keep))
    return [*inputs], inputs.read_as


def parts(items: list[Item]) -> list[tuple[str, float | None, float | None]]:
    return [(item.path, item.start_seconds, item.end_seconds) for item in items]


def in_template(expected: list[tuple[str, float, float]], template: str = "{}.mp4") -> list[tuple[str, float, float]]:
    return [(template.format(name), start, end) for name, start, end in expected]


def write_hd_vg(name: str, indent: int | None) -> None:
    Path(name).write_text(json.dumps(HD_VG, indent=indent))


# The lists of data sets.


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["hdvg_0.json", "meta.txt"])
def test_each_scene_of_hd_vg_is_a_part(name: str, indent: int | None) -> None:
    write_hd_vg(name, indent)
    items, read_as = read(name, keep="clip_id,caption,scene,clip,video_id")
    assert parts(items) == in_template(HD_VG_PARTS)
    assert read_as == [f"{name}: read as HD-VG JSON, videos {{video_id}}.mp4, parts by start_seconds and end_seconds"]
    first = {"clip_id": "abc.0.0", "caption": "a dog", "scene": "0", "clip": "abc.0.mp4", "video_id": "abc"}
    assert items[0].kept == first
    assert items[1].kept["scene"] == "1"
    assert items[2].kept == {"clip": "abc.1.mp4", "video_id": "abc"}
    assert parts(read(name, template="videos/{video_id}.mkv")[0]) == in_template(HD_VG_PARTS, "videos/{}.mkv")


def test_each_clip_of_hd_vila_is_a_part() -> None:
    expected = [("abc.mp4", 17.759, 23.279), ("d_e.mp4", 1.0, 2.0)]
    for name, text in {
        "hdvila.jsonl": "".join(json.dumps(video) + "\n" for video in HD_VILA),
        "hdvila.json": json.dumps(HD_VILA),
    }.items():
        Path(name).write_text(text)
        items, (said,) = read(name)
        assert parts(items) == expected
        assert said.startswith(f"{name}: read as HD-VILA ")
        cut = read(name, "path=clip_id,start_seconds=,end_seconds=")[0]
        assert parts(cut) == [("abc.0.mp4", None, None), ("d_e.0.mp4", None, None)]


def test_a_video_longer_than_what_is_looked_at_is_hd_vg_too() -> None:
    scenes = [{"clip_id": str(index), "caption": "x" * 1000, "scene_cut": [index, index + 1]} for index in range(2000)]
    video = {"url": "u", "clip": {"a.0.mp4": {"span": ["0:00:00", "0:10:00"], "fps": 10, "scene_split": scenes}}}
    Path("large.json").write_text(json.dumps({"abc": video, "d_e": HD_VG["d_e"]}))
    items, (said,) = read("large.json", keep="caption")
    assert len(items) == 2001
    assert parts(items)[1999:] == [("abc.mp4", 199.9, 200.0), ("d_e.mp4", 1.0, 3602.0)]
    assert "read as HD-VG JSON" in said


BAD_SCENES: dict[str, tuple[dict[str, Any], str]] = {
    "no span": ({"fps": 25}, "span"),
    "a span of words": ({"span": ["soon", "later"]}, "the clip's span is ['soon', 'later'], not two times"),
    "a span that ends first": ({"span": ["0:00:05", "0:00:01"]}, "the clip's span"),
    "no rate": ({"scene_split": [{"scene_cut": [1, 5]}], "fps": None}, "the clip's fps is None, so the scene's frames"),
    "a rate of 0": ({"scene_split": [{"scene_cut": [1, 5]}], "fps": 0}, "the clip's fps is 0, so"),
    "no frames": ({"scene_split": [{"scene_cut": [5, 5]}]}, "scene_cut is [5, 5], which selects no frame"),
    "one frame": ({"scene_split": [{"scene_cut": [5]}]}, "scene_cut is [5], not two frames"),
    "no scene": ({"scene_split": [7]}, "scene_cut is None, not two frames"),
}


@pytest.mark.parametrize("kind", BAD_SCENES)
def test_a_wrong_scene_is_a_row_with_an_error_and_the_rest_is_scored(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = BAD_SCENES[kind]
    good = {"span": ["0:00:00", "0:00:04"], "fps": 25}
    wrong = good | change if kind != "no span" else {"fps": 25, "scene_split": []}
    clips = {"b.mp4": good, "wrong": wrong}
    Path("list.json").write_text(json.dumps({"a": {"clip": clips}, "c": 7}))
    Path("a.mp4").write_text("a video")
    server = answer_everything(monkeypatch)
    assert score.main(["--manifest", "list.json", "--output", "scores.parquet"]) == 1
    rows = {(row["video"], row["start_seconds"]): row for row in read_table("scores.parquet").to_pylist()}
    assert rows.keys() == {("a.mp4", 0.0), ("a.mp4", None), ("list.json#2", None)}
    assert rows["a.mp4", 0.0]["error"] is None
    assert message in rows["a.mp4", None]["error"]
    assert rows["a.mp4", None]["reason"] == "invalid_parameter"
    assert rows["list.json#2", None]["error"] == "the value of 'c' is no object with clips"
    assert len(server.videos) == 1


def test_a_hd_vg_list_that_breaks_off_is_said() -> None:
    text = json.dumps(HD_VG)
    Path("cut.json").write_text(text[: text.index('"d_e"') + 20])
    skipped = Skipped()
    assert len([*Inputs([], ["cut.json"]).items(skipped)]) == 3
    assert skipped.troubles == ["cut.json: cannot read the manifest: video 2 of the object is not whole JSON"]


@pytest.mark.parametrize("name", ["kinetics.csv", "kinetics.tsv", "kinetics.parquet", "kinetics.jsonl"])
def test_kinetics_is_known_by_its_columns(name: str) -> None:
    rows = [*csv.DictReader(KINETICS.splitlines())]
    if name.endswith(".parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), name)
    elif name.endswith(".jsonl"):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        Path(name).write_text(KINETICS.replace(",", "\t") if name.endswith(".tsv") else KINETICS)
    items, (said,) = read(name, keep="label,split")
    assert parts(items) == in_template(KINETICS_PARTS)
    assert items[0].kept == {"label": "riding a bike", "split": "train"}
    assert said.startswith(f"{name}: read as Kinetics ")
    assert said.endswith(", videos {youtube_id}.mp4, parts by time_start and time_end")
    assert parts(read(name, template="k/{youtube_id}.mkv")[0]) == in_template(KINETICS_PARTS, "k/{}.mkv")
    # Files that were cut already.
    cut = read(name, "start_seconds=,end_seconds=", "{label}/{youtube_id}_{time_end:06d}.mp4")[0]
    assert parts(cut) == [("riding a bike/abc_000018.mp4", None, None), ("yoga/d_e_000010.mp4", None, None)]


def test_a_list_with_a_path_and_the_columns_of_kinetics_is_read_as_before() -> None:
    Path("a.csv").write_text("path,youtube_id,time_start,time_end\na.mp4,abc,8,18\n")
    items, read_as = read("a.csv")
    assert items == [Item("a.mp4")]
    assert read_as == ["a.csv: read as CSV, videos by 'path'"]


# Other columns.

ROWS: list[dict[str, Any]] = [
    {"vid": "x", "from": "0:01.5", "to": 3, "text": "one, two"},
    {"vid": "y", "from": "", "to": None, "text": "é"},
]
COLUMNS = "path=vid,start_seconds=from,end_seconds=to,caption=text"


def write_rows(name: str) -> None:
    ending = Path(name).suffix
    if ending == ".parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), name)
    elif ending in (".jsonl", ".json"):
        lines = [json.dumps(row) for row in ROWS]
        Path(name).write_text("\n".join(lines) if ending == ".jsonl" else f"[{','.join(lines)}]")
    else:
        with Path(name).open("w", newline="") as file:
            writer = csv.DictWriter(file, [*ROWS[0]], delimiter="\t" if ending == ".tsv" else ";")
            writer.writeheader()
            writer.writerows(ROWS)


KINDS = ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.txt"]


@pytest.mark.parametrize("name", KINDS)
def test_columns_and_a_template_name_the_videos_of_any_list(name: str) -> None:
    write_rows(name)
    items, (said,) = read(name, COLUMNS, None, "caption")
    assert parts(items) == [("x", 1.5, 3.0), ("y", None, None)]
    assert [item.kept for item in items] == [{"caption": "one, two"}, {"caption": "é"}]
    assert said.endswith(", videos by 'vid', parts by from and to")
    items, _ = read(name, "start_seconds=from", "videos/{vid}/{text}.mp4", "to,text")
    assert parts(items) == [("videos/x/one, two.mp4", 1.5, None), ("videos/y/é.mp4", None, None)]
    assert items[0].kept == {"to": "3", "text": "one, two"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("columns", "template", "keep", "why"),
    [
        ("path=id", None, None, "--columns path=id"),
        ("path=vid,start_seconds=begin", None, None, "--columns start_seconds=begin"),
        (None, "videos/{youtube_id}.mp4", None, "--path-template videos/{youtube_id}.mp4"),
        ("path=vid", None, "label", "--keep label"),
    ],
)
def test_a_column_that_a_list_lacks_is_an_error_that_shows_its_first_line(
    name: str, columns: str | None, template: str | None, keep: str | None, why: str
) -> None:
    write_rows(name)
    with pytest.raises(InputError) as raised:
        read(name, columns, template, keep)
    sentence = str(raised.value)
    assert sentence.startswith(f"{name}: the list has no column '")
    assert f"({why}); it" in sentence
    shown = {
        "a.csv": "its first line is 'vid;from;to;text'",
        "a.txt": "its first line is 'vid;from;to;text'",
        "a.tsv": "its first line is 'vid\\tfrom\\tto\\ttext'",
        "a.parquet": "it has vid, from, to, text",
    }
    assert shown.get(name, '"vid": "x"') in sentence


def test_a_list_of_ids_is_one_with_a_template() -> None:
    Path("ids.txt").write_text("abc\nd_e\n\n")
    assert read("ids.txt", template="videos/{line}.mp4") == (
        [Item("videos/abc.mp4"), Item("videos/d_e.mp4")],
        ["ids.txt: read as names, one a line, videos videos/{line}.mp4"],
    )
    with pytest.raises(InputError, match="is no list of videos"):
        read("ids.txt")


def test_standard_input_has_columns_too() -> None:
    program = (
        "import sys\nfrom client._inputs.choices import Choices\nfrom client._inputs.inputs import Inputs\n"
        "from client._inputs.skipped import Skipped\nskipped = Skipped()\n"
        "choices = Choices.of('start_seconds=from', 'v/{vid}.mp4', 'text')\n"
        "for item in Inputs(['-'], [], choices=choices).items(skipped): print(item.path, item.part, dict(item.kept))\n"
        "print(skipped.sentences())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    for given_text, kind in (
        ("vid,from,text\nx,1,t\n", "CSV"),
        ('{"vid": "x", "from": 1, "text": "t"}\n', "JSON lines"),
    ):
        command = [sys.executable, "-c", program]
        result = subprocess.run(command, input=given_text, capture_output=True, text=True, env=environment)
        assert result.stdout.splitlines() == [
            "v/x.mp4 {'start_seconds': 1.0} {'text': 't'}",
            f"['standard input: read as {kind}, videos v/{{vid}}.mp4, parts by from']",
        ]


def test_videos_of_a_template_are_looked_for_beside_the_list() -> None:
    Path("set/videos").mkdir(parents=True)
    Path("set/videos/abc.mp4").touch()
    Path("set/k.csv").write_text(KINETICS)
    paths = [item.path for item in read("set/k.csv", template="videos/{youtube_id}.mp4")[0]]
    assert paths == ["set/videos/abc.mp4", "videos/d_e.mp4"]


def test_rows_without_a_value_are_counted_and_values_that_do_not_fit_are_rows_with_errors() -> None:
    Path("a.csv").write_text("id,n\na,1\n,2\nb\nc,x\nd,2.0\n")
    skipped = Skipped()
    items = [*Inputs([], ["a.csv"], choices=Choices.of(None, "{id}_{n:03d}.mp4", "id")).items(skipped)]
    assert [item.path for item in items] == ["a_001.mp4", "a.csv#5", "d_002.mp4"]
    assert str(items[1].problem) == "the column 'n' has 'x', not a whole number"
    assert items[1].kept == {"id": "c"}
    assert skipped.rows == 2
    Path("a.jsonl").write_text('{"id": "a"}\n{"x": 1}\n{"id": [1]}\n"b.mp4"\n{"id": 7}\n')
    items, _ = read("a.jsonl", template="{id}.mp4")
    assert [item.path for item in items] == ["a.mp4", "a.jsonl#2", "a.jsonl#3", "a.jsonl#4", "7.mp4"]
    assert str(items[1].problem) == "row 2 has none of id"
    assert str(items[2].problem) == "the column 'id' has list, not text"


@pytest.mark.parametrize(
    ("columns", "template", "keep", "message"),
    [
        ("path", None, None, "write name=column with commas between"),
        ("path=", None, None, "write name=column"),
        ("a=b,a=c", None, None, "'a' is there twice"),
        (None, "videos/a.mp4", None, "it names no column, such as {youtube_id}"),
        (None, "{}.mp4", None, "write {column} or {column:06d} in it"),
        (None, "{id!r}.mp4", None, "write {column} or {column:06d} in it"),
        (None, "{id:>99}.mp4", None, "write {column} or {column:06d} in it"),
        (None, "{id.mp4", None, "expected '}' before end of string"),
        (None, None, "a,,b", "write each column once"),
        (None, None, "a,a", "write each column once"),
    ],
)
def test_wrong_options_are_a_sentence_and_status_2(
    columns: str | None,
    template: str | None,
    keep: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.csv").write_text("path\na.mp4\n")
    options = {"--columns": columns, "--path-template": template, "--keep": keep}
    given_options = [text for name, value in options.items() if value is not None for text in (name, value)]
    assert score.main(["--manifest", "a.csv", *given_options]) == 2
    assert message in capsys.readouterr().err


def test_options_of_lists_need_a_list_and_names_that_tables_do_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["a.mp4", "--keep", "id"], "are for the columns of a --manifest"),
        (["--manifest", "a.csv", "--keep", "frames"], "--columns my_frames=frames --keep my_frames"),
        (["--manifest", "a.csv", "--keep", "id,head_x"], "--keep head_x: tables have a column of this name"),
    ):
        with pytest.raises(SystemExit) as stopped:
            score.main(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def test_a_template_reads_no_attributes() -> None:
    template = Template("{a.b}_{c[0]}.mp4")
    assert template.fields == ("a.b", "c[0]")
    assert template.path({"a.b": "x", "c[0]": 2}) == "x_2.mp4"
    with pytest.raises(InvalidRequest, match="not a whole number"):
        Template("{a:02d}").path({"a": float("inf")})


@given(st.integers(0, 100_000), st.integers(0, 59), st.integers(0, 59_999))
def test_times_are_seconds_or_on_a_clock(hours: int, minutes: int, milliseconds: int) -> None:
    expected = hours * 3600 + minutes * 60 + milliseconds / 1000
    clock = f"{hours}:{minutes:02}:{milliseconds / 1000:06.3f}"
    assert seconds_of(clock) == pytest.approx(expected, abs=1e-6)
    assert seconds_of(clock.replace(".", ",")) == pytest.approx(expected, abs=1e-6)
    assert seconds_of(str(expected)) == expected


@pytest.mark.parametrize("text", ["1:2:3:4", "a:b", "::", "-1:00", "1:", None, [1], "0:00:0x"])
def test_what_is_no_time_is_nan(text: object) -> None:
    assert seconds_of(text) != seconds_of(text)


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["clip", "span", "fps", "scene_split", "scene_cut", "video_id"]), x)
        ),
        max_leaves=12,
    )
)
def test_whatever_a_list_of_clips_holds_it_is_read_or_refused(value: object) -> None:
    Path("x.json").write_text(json.dumps({"abc": {"clip": value}, "d": value}))
    items: list[Item] = []
    refusal = ""
    try:
        items, _ = read("x.json", template="{video_id}.mp4", keep="video_id")
    except InputError as error:
        refusal = str(error)
    assert items or 0 < len(refusal) < 1000
    assert all(item.key for item in items)


def test_a_hd_vg_list_may_begin_with_a_video_without_clips() -> None:
    Path("x.json").write_text(json.dumps({"none": {"clip": {}}} | HD_VG))
    assert parts(read("x.json", keep="caption")[0]) == in_template(HD_VG_PARTS)


# What is kept.


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_what_is_kept_is_in_the_table_for_failures_too_and_survives_a_retry_and_the_filter(
    ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.jsonl").write_text(
        '{"path": "a.mp4", "caption": "two\\nlines, \\"é\\"", "id": 7, "tags": ["x", {"y": 1}]}\n'
        '{"path": "b.mp4", "id": null}\n{"path": "empty.mp4", "caption": "\\ud800", "id": true}\n'
    )
    for name in ("a.mp4", "b.mp4", "empty.mp4"):
        Path(name).write_text("" if name == "empty.mp4" else name)
    answer_everything(monkeypatch)
    table = f"scores{ending}"
    arguments = ["--manifest", "list.jsonl", "--keep", "caption,id,tags", "--output", table, "--in-flight", "1"]
    assert score.main(arguments) == 1
    kept: list[dict[str, str | None]] = [
        {"caption": 'two\nlines, "é"', "id": "7", "tags": '["x", {"y": 1}]'},
        {"caption": None, "id": None, "tags": None},
        {"caption": "\\xed\\xa0\\x80", "id": "true", "tags": None},
    ]

    def rows(path: str) -> dict[str, dict[str, str | None]]:
        read_rows = read_table(path)
        assert read_rows.schema.names[-3:] == ["caption", "id", "tags"]
        assert read_metadata(path).kept == ("caption", "id", "tags")
        return {row["video"]: {name: row[name] for name in kept[0]} for row in read_rows.to_pylist()}

    expected: dict[str, dict[str, str | None]] = dict(zip(["a.mp4", "b.mp4", "empty.mp4"], kept, strict=True))
    assert rows(table) == expected
    lists = [f"--{what}={what}{suffix}" for what in ("kept", "failed") for suffix in (".parquet",)]
    assert filter_command.main([table, "--drop", "chaotic", *lists]) == 0
    assert rows("failed.parquet") == {"empty.mp4": kept[2]}
    assert filter_command.main([table, "--drop", "chaotic", "--kept=kept.jsonl"]) == 0
    assert rows("kept.jsonl") == {name: expected[name] for name in ("a.mp4", "b.mp4")}
    # The lists of the filter are manifests, whose columns can be kept again.
    again = Inputs([], ["kept.jsonl"], choices=Choices.of(None, None, "caption"))
    assert [item.kept.get("caption") for item in again] == ['two\nlines, "é"', None]
    # A retry of all failures knows what the rows had.
    Path("empty.mp4").write_text("no longer")
    assert score.main(["--retry-failed", "--output", table]) == 0
    assert rows(table) == expected
    assert read_table(table).column("error").null_count == 3
    # So does one of a video that is named without the list.
    assert score.main(["empty.mp4", "--retry-failed", "--keep", "caption,id,tags", "--output", table]) == 0
    Path("new.mp4").write_text("new")
    assert score.main(["new.mp4", "--keep", "caption,id,tags", "--output", table]) == 0
    assert rows(table) == expected | {"new.mp4": dict.fromkeys(kept[0])}
    # Another run must keep the same.
    capsys.readouterr()
    assert score.main(["--manifest", "list.jsonl", "--output", table]) == 2
    assert "was begun with --keep caption,id,tags, now it is without --keep:" in capsys.readouterr().err


def test_without_keep_nothing_changes_and_printed_scores_have_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.csv").write_text("path,caption\na.mp4,a dog\n")
    Path("a.mp4").write_text("a video")
    answer_everything(monkeypatch)
    for options, expected in (([], None), (["--keep", "caption"], {"caption": "a dog"})):
        assert score.main(["--manifest", "list.csv", *options]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out).get("kept") == expected
        assert err.splitlines()[0] == "list.csv: read as CSV, videos by 'path'"
    assert score.main(["--manifest", "list.csv", "--output", "plain.parquet"]) == 0
    assert "caption" not in read_table("plain.parquet").schema.names
    assert b"kept" not in read_table("plain.parquet").schema.metadata[b"video_motion"]
