"""The table of scores: the same rows in every format, with the types that other programs expect."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from client import CameraClip, InvalidRequest, MotionScores, Score, VideoInfo, Weights
from client._tables.output import as_csv_row, csv_header
from client._tables.row import failed_row, scored_row
from client._tables.table import SCHEMA, Metadata, TableError, read_batches, read_metadata, read_table, write_parquet

WEIGHTS = Weights("a@1", "b@2", ("left", "right"), "f32")
SCORE = Score(
    MotionScores(0.5, 1.25, 2.5),
    (CameraClip(0.0, 2.0, {"left": 0.25, "right": 0.75}), CameraClip(2.0, 3.5, {"left": 0.5, "right": 0.625})),
    VideoInfo(3.5, 84, 24.0, 640, 360, 3600.0),
    WEIGHTS,
    decoder="nvdec",
)
PARAMETERS = {"fps": 8.0, "start_seconds": 1.0, "end_seconds": 4.5, "from_first_frame": 1}
ROWS = [
    scored_row('a, "b"\n.mp4', SCORE, PARAMETERS),
    failed_row("bad.mp4", InvalidRequest("the file is empty", reason="empty"), PARAMETERS),
]
METADATA = Metadata({"motion": "a@1", "camera": "b@2", "precision": "f32"}, ("left", "right"), {"fps": 8.0})


def write(path: Path, rows: list) -> Path:
    if path.suffix == ".parquet":
        write_parquet(path, rows, METADATA)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(csv_header() + "".join(map(as_csv_row, rows)), newline="")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_table_has_the_same_columns_and_rows_whatever_its_format(suffix: str, tmp_path: Path) -> None:
    table = read_table(write(tmp_path / f"scores{suffix}", ROWS))
    assert table.schema.equals(SCHEMA)
    good, bad = table.to_pylist()
    assert good == {
        "video": 'a, "b"\n.mp4',
        "start_seconds": 1.0,
        "end_seconds": 4.5,
        "from_first_frame": 1,
        "error": None,
        "error_kind": None,
        "reason": None,
        "skipped_by": None,
        "camera_movement_score": 0.5,
        "object_movement_score": 1.25,
        "dynamics_score": 2.5,
        "duration_seconds": 3.5,
        "header_duration_seconds": 3600.0,
        "frames": 84,
        "frames_per_second": 24.0,
        "width": 640,
        "height": 360,
        "decoded_share": None,
        "decoder": "nvdec",
        "clips": [
            {"start_seconds": 0.0, "end_seconds": 2.0, "labels": ["right"], "probabilities": [0.25, 0.75]},
            {"start_seconds": 2.0, "end_seconds": 3.5, "labels": ["right", "left"], "probabilities": [0.5, 0.625]},
        ],
    }
    assert {name: value for name, value in bad.items() if value is not None} == {
        "video": "bad.mp4",
        "start_seconds": 1.0,
        "end_seconds": 4.5,
        "from_first_frame": 1,
        "error": "the file is empty",
        "error_kind": "InvalidRequest",
        "reason": "empty",
    }
    assert Metadata.of(table).labels == ("left", "right")
    if suffix != ".csv":
        assert Metadata.of(table) == METADATA


def test_a_large_table_is_written_in_row_groups_and_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    write_parquet(path, (scored_row(f"{index}.mp4", SCORE) for index in range(20_000)), METADATA)
    assert parquet.ParquetFile(path).num_row_groups == 5
    videos = [name for batch in read_batches(path) for name in batch.column("video").to_pylist()]
    assert videos == [f"{index}.mp4" for index in range(20_000)]
    assert [*tmp_path.iterdir()] == [path]


def test_a_table_of_failures_alone_and_an_empty_one_can_be_read(tmp_path: Path) -> None:
    for suffix in (".parquet", ".jsonl", ".csv"):
        for rows in ([], ROWS[1:]):
            table = read_table(write(tmp_path / f"scores{suffix}", rows))
            assert table.num_rows == len(rows)
            assert table.schema.equals(SCHEMA)


def test_a_line_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "scores.jsonl", ROWS)
    path.write_text(path.read_text() + '{"video": "half')
    assert read_table(path).num_rows == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.txt", "", "its name must end in .parquet, .jsonl, .csv"),
        ("scores.parquet", "not parquet", "is not a table of scores: .*Parquet"),
        ("scores.jsonl", '{"a": 1}\n', "line 1 is not the score of a video"),
        ("scores.jsonl", "{\n", "is not a table of scores"),
        ("scores.csv", "a,b\n1,2\n", "it has no column 'camera_movement_score'"),
        ("scores.csv", None, "cannot read .*: No such file or directory"),
    ],
)
def test_what_is_no_table_is_said_to_be_none(name: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(TableError, match=message):
        read_table(path)


def test_another_parquet_file_is_told_from_a_table_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"video": ["a.mp4"]}), path)
    with pytest.raises(TableError, match="it has no column 'camera_movement_score'"):
        read_metadata(path)


def test_rows_with_other_labels_are_refused(tmp_path: Path) -> None:
    other = Score(SCORE.motion, (CameraClip(0, 2, {"up": 0.5}),), SCORE.info, SCORE.weights)
    path = write(tmp_path / "scores.jsonl", [ROWS[0], scored_row("other.mp4", other)])
    with pytest.raises(TableError, match=r"'other.mp4' has 1 labels, others have 2"):
        read_table(path)
