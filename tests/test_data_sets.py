"""`score --hugging-face`: Parquet files whose rows hold the videos."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from client._commands import score
from client._inputs.choices import Choices
from client._inputs.data_set import DataSet
from client._inputs.errors import InputError
from client._inputs.skipped import Skipped
from client._tables.table import read_table
from tests.stub_server import answer_everything

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, *numbers: int) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    rows: list[Any] = [{"bytes": b"video %d" % number, "path": f"{number}.mp4"} for number in numbers]
    table = {"id": [*numbers], "path": ["not the video"] * len(rows), "clip": pa.array(rows, STRUCT)}
    parquet.write_table(pa.table(table), path, row_group_size=2)


@pytest.mark.parametrize("argument", ["data", "data/train-*.parquet", "data/train-{0..1}.parquet"])
def test_the_videos_of_all_files_are_scored(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("data/train-0.parquet", 0, 1, 2)
    write("data/train-1.parquet", 3)
    server = answer_everything(monkeypatch)
    arguments = ["--hugging-face", argument, "--keep", "id", "--output", "scores.csv", "--in-flight", "1"]
    assert score.main(arguments) == 0
    assert server.videos == [b"video %d" % number for number in range(4)]
    table = read_table("scores.csv")
    assert table.column("video").to_pylist() == [f"{number}.mp4" for number in range(4)]
    assert table.column("id").to_pylist() == ["0", "1", "2", "3"]
    assert capsys.readouterr().err.count("read as Parquet, videos in 'clip'") == 1
    write("data/train-1.parquet", 3, 4)
    assert score.main(arguments) == 0
    assert server.videos[4:] == [b"video 4"]


def test_a_file_that_is_damaged_costs_its_own_videos(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("data/a.parquet", 0)
    write("data/c.parquet", 2)
    Path("data/b.parquet").write_bytes(Path("data/a.parquet").read_bytes()[:-20])
    server = answer_everything(monkeypatch)
    assert score.main(["--hugging-face", "data", "--output", "scores.csv", "--in-flight", "1"]) == 1
    assert server.videos == [b"video 0", b"video 2"]
    assert "data/b.parquet: cannot read" in capsys.readouterr().err


def test_what_holds_no_videos_is_refused() -> None:
    os.mkdir("empty")
    for argument in ("empty", "none/*.parquet"):
        with pytest.raises(InputError, match=f"{argument[:5]}.*: there is no Parquet file"):
            DataSet(argument)
    with pytest.raises(InputError, match=r"gone\.parquet: .*No such file"):
        DataSet("gone.parquet")
    parquet.write_table(pa.table({"path": ["a.mp4"], "id": [1]}), "names.parquet")
    with pytest.raises(InputError, match=r"no column holds files, as bytes or structs .*; it has path, id"):
        DataSet("names.parquet")
    parquet.write_table(pa.table({"left": [b"1"], "right": [b"2"], "id": [1]}), "two.parquet")
    with pytest.raises(InputError, match="'left' and 'right' hold files: name the one with the videos, --columns"):
        DataSet("two.parquet")
    (item,) = DataSet("two.parquet", Choices({"path": "right"})).items(Skipped())
    assert item.content is not None
    assert item.content.take() == b"2"
    with pytest.raises(InputError, match="the column 'id' holds no files"):
        DataSet("two.parquet", Choices({"path": "id"}))
    Path("text.parquet").write_text("a.mp4\n")
    with pytest.raises(InputError, match=r"text\.parquet: cannot read"):
        DataSet("text.parquet")
    write("none.parquet")
    with pytest.raises(InputError, match="the file holds no video"):
        DataSet("none.parquet")


def test_files_are_read_row_group_by_row_group() -> None:
    """Of 32 MiB in 16 row groups, one or two are in memory."""
    rows: list[Any] = [{"bytes": bytes([number]) * (1 << 20), "path": None} for number in range(32)]
    table = pa.table({"video": pa.array(rows, STRUCT)})
    parquet.write_table(table, "a.parquet", row_group_size=2, compression="none")
    del rows, table
    before = pa.total_allocated_bytes()
    most = 0
    for item in DataSet("a.parquet").items(Skipped()):
        assert item.content is not None
        assert len(item.content.take()) == 1 << 20
        most = max(most, pa.total_allocated_bytes() - before)
    assert 0 < most < 8 << 20
