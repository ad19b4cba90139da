"""Heads: labels, tables of embeddings, which video is which, and the split."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from fixtures.embeddings import ENCODER, write_embeddings
from training.heads.errors import HeadError
from training.heads.examples import Examples, load_examples
from training.heads.labels import read_labels
from training.heads.matching import match
from training.heads.split import split
from training.heads.tables import On, Row, read_rows, video_names

Matrices = dict[str, NDArray[np.floating] | None]


def matrix(seed: int, frames: int = 3, width: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((frames, width)).astype(np.float32)


def some(count: int) -> Matrices:
    return {f"v/{index}.mp4": matrix(index, frames=2 + index % 3) for index in range(count)}


def write_labels(folder: Path, *lines: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(["video,label", *lines]) + "\n")
    return path


def test_a_video_has_the_labels_of_all_its_rows_and_of_the_list_in_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(
        b'\xef\xbb\xbfid,label,video\r\n1,cat,a.mp4\r\n2, dog ;cat,a.mp4\r\n3,"x, y","b, c.mp4"\r\n4,cat;cat,d.mp4\r\n'
    )
    labels = read_labels(path)
    assert labels.of == {"a.mp4": ("cat", "dog"), "b, c.mp4": ("x, y",), "d.mp4": ("cat",)}
    assert labels.repeated == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"labels.csv is empty: it needs the columns video and label"),
        (b"video,label\n", r"labels.csv has no labels: nothing follows its first line"),
        (b"a.mp4,cat\nb.mp4,dog\n", r"labels.csv has no column 'video', only 'a.mp4', 'cat'"),
        (b"video,label\na.mp4,cat\nb.mp4, ;\n", r"labels.csv, line 3: b.mp4 has no label; give .* such as none"),
        (b"video,label\na.mp4\n", r"labels.csv, line 2: a.mp4 has no label"),
        (b"video,label\n,cat\n", r"labels.csv, line 2: no video"),
        (b"video,label\na, b.mp4,cat\n", r"labels.csv, line 2: more cells than columns; quote a name that has a comma"),
        (b"video,label\na\xff.mp4,cat\n", r"labels.csv is not a CSV file in UTF-8"),
        (b'video,label\n"a.mp4,cat\n', r"labels.csv is not a CSV file: unexpected end of data"),
        (None, r"cannot read .*labels.csv: No such file or directory"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_gets_a_sentence(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HeadError, match=sentence):
        read_labels(path)


def test_names_match_by_their_last_part_only_if_they_are_not_equal() -> None:
    found = match(["x/a.mp4", "/data/b.mp4", "y\\c.mp4", "d.mp4"], ["x/a.mp4", "z/a.mp4", "b.mp4", "/v/c.mp4", "e.mp4"])
    assert found.of == {"x/a.mp4": "x/a.mp4", "/data/b.mp4": "b.mp4", "y\\c.mp4": "/v/c.mp4"}
    assert found.by_file_name == 2
    assert found.absent == ("d.mp4",)


def test_a_file_name_of_several_videos_is_not_guessed() -> None:
    with pytest.raises(HeadError, match=r"^a.mp4 of the labels could be 2 videos of the tables \(x/a.mp4, y/a.mp4\): "):
        match(["a.mp4"], ["x/a.mp4", "y/a.mp4"])
    with pytest.raises(HeadError, match=r"^2 videos of the labels \(x/a.mp4, y/a.mp4\) could be a.mp4 of the tables: "):
        match(["x/a.mp4", "y/a.mp4"], ["a.mp4"])
    # One that is taken by its full name is no candidate.
    assert match(["x/a.mp4", "y/a.mp4"], ["x/a.mp4"]).absent == ("y/a.mp4",)


def test_only_a_labelled_video_needs_to_have_one_row() -> None:
    rows = ["a.mp4", "b.mp4", "b.mp4", "c.mp4"]
    assert match(["a.mp4", "c.mp4"], rows).of == {"a.mp4": "a.mp4", "c.mp4": "c.mp4"}
    with pytest.raises(HeadError, match=r"labelled videos with more than one row in the tables: b.mp4; keep one row"):
        match(["a.mp4", "b.mp4"], rows)


@pytest.mark.parametrize("on", ["frames", "segments"])
@pytest.mark.parametrize(
    ("name", "dtype"), [("t.parquet", np.float32), ("t.parquet", np.float16), ("t.jsonl", np.float32)]
)
def test_embeddings_are_read_as_they_were_written(name: str, dtype: type, on: On, tmp_path: Path) -> None:
    videos: Matrices = some(150) | {"failed.mp4": None}
    path = write_embeddings(tmp_path / name, videos, on=on, dtype=dtype)
    assert list(video_names(path)) == list(videos)
    wanted = {"v/0.mp4", "v/101.mp4", "v/149.mp4", "failed.mp4"}
    rows = {row.video: row for row in read_rows(path, on, wanted)}
    assert rows.keys() == wanted
    for video, row in rows.items():
        expected = videos[video]
        if expected is None:
            assert row.embeddings is None
        else:
            assert row.embeddings is not None
            assert row.embeddings.dtype == dtype
            assert (row.embeddings == expected.astype(dtype)).all()
            assert row.encoder == ENCODER


def with_embeddings(path: Path, column: pa.Array) -> Path:
    """The table at `path` with other embeddings."""
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(table.num_columns - 1, "frame_embeddings", column), path, row_group_size=7)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.list_(pa.float64())),
        pa.large_list(pa.large_list(pa.float32())),
        pa.list_(pa.list_(pa.float32()), 3),
        pa.list_(pa.list_(pa.float64(), 4), 3),
    ],
    ids=str,
)
def test_other_programs_lists_are_read_too(kind: pa.DataType, tmp_path: Path) -> None:
    videos: Matrices = {f"{index}.mp4": matrix(index) for index in range(20)}
    if not pa.types.is_fixed_size_list(kind):  # Parquet cannot hold nulls among these
        videos |= {"x.mp4": None, "y.mp4": matrix(99)}
    lists = [None if each is None else each.tolist() for each in videos.values()]
    path = with_embeddings(write_embeddings(tmp_path / "t.parquet", videos), pa.array(lists, kind))
    for row in read_rows(path, "frames", videos):
        expected = videos[row.video]
        if expected is None:
            assert row.embeddings is None
        else:
            assert row.embeddings == pytest.approx(expected)


def test_a_table_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    videos: Matrices = {f"{index}.mp4": matrix(index, 16, 64) for index in range(2000)}
    path = write_embeddings(tmp_path / "t.parquet", videos, row_group_rows=2000)
    whole = 2000 * 16 * 64 * 4
    before, most = pa.total_allocated_bytes(), 0
    for _ in read_rows(path, "frames", videos):
        most = max(most, pa.total_allocated_bytes() - before)
    assert 0 < most < whole / 2


def no_column(path: Path) -> None:
    write_embeddings(path, some(4), on="segments")


def no_metadata(path: Path) -> None:
    write_embeddings(path, some(4))
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)


def truncated(path: Path) -> None:
    write_embeddings(path, some(4))
    path.write_bytes(path.read_bytes()[:-100])


def flat_lists(path: Path) -> None:
    with_embeddings(write_embeddings(path, some(2)), pa.array([[1.0], [2.0]]))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (no_column, r"t.parquet has no frame_embeddings: score the videos again, with frames among the signals"),
        (no_metadata, r"t.parquet does not say which network its frame_embeddings are of"),
        (truncated, r"t.parquet is not a table of scores"),
        (flat_lists, r"t.parquet: embeddings are list<.*double>, expected lists of lists of floats"),
        (lambda path: path.touch(), r"t.parquet is not a table of scores"),
        (lambda path: path.mkdir(), r"cannot read .*t.parquet: "),
        (lambda path: write_embeddings(path, {}), r"none of the 2 labelled videos has scores in the tables"),
    ],
)
def test_a_table_that_cannot_be_used_gets_a_sentence(
    write: Callable[[Path], object], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    write(path)
    with pytest.raises(HeadError, match=sentence):
        load_examples([path], write_labels(tmp_path, "v/0.mp4,x", "v/1.mp4,y"), "frames")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"video": "a.mp4", "motion": {}}\n', "t.jsonl has no frame_embeddings: score the videos again"),
        ("[]\n", "t.jsonl, line 1: not the score of a video"),
        ("{\n", "t.jsonl is not a table of scores: "),
        ('{"video": "a.mp4", "frame_embeddings": [[1, 2], [3]]}\n', "a.mp4 are not lists of equally many numbers"),
        ('{"video": "a.mp4", "frame_embeddings": [1, 2]}\n', "a.mp4 are not lists of lists of numbers"),
    ],
)
def test_json_lines_that_cannot_be_used_get_a_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(line)
    with pytest.raises(HeadError, match=sentence):
        load_examples([tmp_path / "t.jsonl"], write_labels(tmp_path, "a.mp4,x"), "frames")


@pytest.mark.parametrize(("name", "why"), [("t.csv", "a CSV table has no embeddings"), ("t.txt", "must end in")])
def test_only_parquet_and_json_lines_have_embeddings(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(HeadError, match=why):
        load_examples([tmp_path / name], write_labels(tmp_path, "a.mp4,x"), "frames")


def load(folder: Path, videos: Matrices, *labels: str) -> Examples:
    return load_examples([write_embeddings(folder / "t.parquet", videos)], write_labels(folder, *labels), "frames")


LABELS = [f"v/{index}.mp4,{'xyz'[index % 3]}" for index in range(12)]


def test_examples_come_in_the_order_of_their_names_with_what_their_rows_have(tmp_path: Path) -> None:
    videos = some(12) | {"other.mp4": matrix(50)}
    examples = load(tmp_path, dict(reversed(videos.items())), *LABELS)
    assert examples.videos == tuple(sorted(set(videos) - {"other.mp4"}))
    assert examples.labels == ("x", "y", "z")
    for video, each, target in zip(examples.videos, examples.embeddings, examples.targets, strict=True):
        assert (each == videos[video]).all()
        assert target.tolist() == [int(video[2:-4]) % 3 == label for label in range(3)]
    assert (examples.width, examples.frames, examples.encoder) == (4, 4, ENCODER)
    assert not examples.multi_label
    assert examples.notes == ()


def test_a_fingerprint_changes_with_all_that_training_sees(tmp_path: Path) -> None:
    first = load(tmp_path, some(12), *LABELS).fingerprint
    assert load(tmp_path, dict(reversed(some(12).items())), *LABELS).fingerprint == first
    changed = some(12)
    values = changed["v/3.mp4"]
    assert values is not None
    values[1, 2] += 1e-4
    assert load(tmp_path, changed, *LABELS).fingerprint != first
    assert load(tmp_path, some(12), *LABELS[:-1], "v/11.mp4,x").fingerprint != first


def test_several_tables_are_one(tmp_path: Path) -> None:
    videos = list(some(12).items())
    one = write_embeddings(tmp_path / "one.parquet", dict(videos[:5]))
    two = write_embeddings(tmp_path / "two.jsonl", dict(videos[5:]))
    together = load_examples([one, two], write_labels(tmp_path, *LABELS), "frames")
    assert together.fingerprint == load(tmp_path, dict(videos), *LABELS).fingerprint
    with pytest.raises(HeadError, match=r"more than one row in the tables: v/0.mp4, v/1.mp4, v/2.mp4 and 2 more; "):
        load_examples([one, one, two], write_labels(tmp_path, *LABELS), "frames")


def test_videos_without_scores_are_left_out_and_named(tmp_path: Path) -> None:
    videos = some(12) | {"v/3.mp4": None}
    examples = load(tmp_path, videos, *LABELS, "absent.mp4,x", "other/4.mp4,y;y")
    assert "v/3.mp4" not in examples.videos
    assert len(examples.videos) == 11
    # other/4.mp4 is not v/4.mp4, which has a label of its own.
    assert examples.notes == (
        "3 labelled videos without scores, left out: absent.mp4, other/4.mp4, v/3.mp4",
        "1 repeated label, counted once",
    )


def test_matches_by_file_name_and_several_labels_are_said(tmp_path: Path) -> None:
    examples = load(tmp_path, some(12), "else/0.mp4,y", *LABELS[1:], "v/1.mp4,x")
    assert examples.multi_label
    assert examples.take(np.array([0])).multi_label
    assert examples.targets[examples.videos.index("v/1.mp4")].tolist() == [True, True, False]
    assert examples.targets[examples.videos.index("v/0.mp4")].tolist() == [False, True, False]
    assert examples.notes == (
        "1 video matched by file name, because the tables name other folders",
        "1 video with several labels, so each label gets a probability of its own",
    )


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([*LABELS, "v/12.mp4,rare"], r"labels that only one video with scores has: 'rare' \(v/12.mp4\); a label needs"),
        (["v/0.mp4,x", "v/1.mp4,x"], r"all videos have the same label, 'x': there is nothing to tell apart"),
        (
            [*LABELS, "absent.mp4,q"],
            r"labels that no video with scores has: 'q'; without scores: 1 labelled video, such as absent.mp4",
        ),
        (["a.mp4,x", "failed.mp4,y"], r"none of the 2 labelled videos has scores in the tables, such as a.mp4"),
    ],
)
def test_labels_that_cannot_be_learned_get_a_sentence(labels: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(HeadError, match=sentence):
        load(tmp_path, some(13) | {"failed.mp4": None}, *labels)


def test_random_weights_are_said(tmp_path: Path) -> None:
    path = write_embeddings(tmp_path / "t.parquet", some(12), encoder="random:0 (stand-in)")
    (note,) = load_examples([path], write_labels(tmp_path, *LABELS), "frames").notes
    assert note == "the embeddings are of a network with random weights: all figures mean nothing"


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_the_names_of_their_videos(
    name: str, value: float, tmp_path: Path
) -> None:
    videos = some(12)
    for video in ("v/2.mp4", "v/5.mp4"):
        broken = videos[video]
        assert broken is not None
        broken[-1, 1] = value
    path = write_embeddings(tmp_path / name, videos)
    with pytest.raises(HeadError, match=r"not finite \(NaN or infinite\): v/2.mp4, v/5.mp4; score these videos again"):
        load_examples([path], write_labels(tmp_path, *LABELS), "frames")


def test_embeddings_of_another_encoder_are_refused(tmp_path: Path) -> None:
    videos = list(some(12).items())
    one = write_embeddings(tmp_path / "one.parquet", dict(videos[:5]))
    two = write_embeddings(tmp_path / "two.parquet", dict(videos[5:]), encoder="someone/encoder@999")
    labels = write_labels(tmp_path, *LABELS)
    other = r"v/5.mp4 are of another encoder \(someone/encoder@999\) than those of v/0.mp4 \(someone/encoder@0123abc\)"
    with pytest.raises(HeadError, match=other):
        load_examples([one, two], labels, "frames")
    rows = [path for name in ("one", "two") for path in [tmp_path / f"{name}.jsonl"]]
    write_embeddings(rows[0], dict(videos[:5]))
    write_embeddings(rows[1], dict(videos[5:]), encoder="someone/encoder@999")
    (tmp_path / "both.jsonl").write_text("".join(path.read_text() for path in rows))
    with pytest.raises(HeadError, match=other):
        load_examples([tmp_path / "both.jsonl"], labels, "frames")


def test_embeddings_of_another_width_are_refused(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "t.jsonl", some(12) | {"v/7.mp4": matrix(7, width=5)})
    with pytest.raises(HeadError, match=r"v/7.mp4 have 5 values, those of v/0.mp4 4: they are of another encoder"):
        load_examples([tmp_path / "t.jsonl"], write_labels(tmp_path, *LABELS), "frames")
    lists = pa.array([matrix(0).tolist(), matrix(1, width=5).tolist()], pa.list_(pa.list_(pa.float32())))
    path = with_embeddings(write_embeddings(tmp_path / "t.parquet", some(2)), lists)
    with pytest.raises(HeadError, match="its embeddings have different widths: 4 and 5"):
        load_examples([path], write_labels(tmp_path, "v/0.mp4,x", "v/1.mp4,y"), "frames")


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_a_video_without_frames_is_refused(name: str, tmp_path: Path) -> None:
    path = write_embeddings(tmp_path / name, some(12) | {"v/4.mp4": np.zeros((0, 4), np.float32)})
    with pytest.raises(HeadError, match=r"the frame_embeddings of v/4.mp4 are empty"):
        load_examples([path], write_labels(tmp_path, *LABELS), "frames")


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = write_embeddings(tmp_path / "t.jsonl", some(3))
    path.write_text(path.read_text() + json.dumps({"video": "half"})[:-3])
    assert list(video_names(path)) == ["v/0.mp4", "v/1.mp4", "v/2.mp4"]
    assert all(isinstance(row, Row) for row in read_rows(path, "frames", some(3)))


def one_hot(numbers: NDArray[np.integer], labels: int) -> NDArray[np.bool_]:
    return np.arange(labels) == numbers[:, None]


@pytest.mark.parametrize("test_size", [0.1, 0.2, 0.5])
def test_each_part_has_its_share_of_every_label(test_size: float) -> None:
    counts = [200, 100, 40, 10, 2]
    targets = one_hot(np.repeat(np.arange(5), counts), 5)
    parts = split(targets, test_size, seed=3)
    assert sorted(np.concatenate([*vars(parts).values()])) == list(range(len(targets)))
    assert targets[parts.test].sum(0).tolist() == [max(1, round(test_size * count)) for count in counts]
    validated = targets[parts.validation].sum(0)
    assert validated[:4] == pytest.approx(test_size * np.array(counts[:4]), abs=1) if test_size < 0.5 else True
    assert (targets[parts.training].sum(0) >= 1).all()


def test_a_split_is_random_and_its_seed_decides() -> None:
    targets = one_hot(np.arange(60) % 3, 3)
    first, again, other = (split(targets, 0.2, seed) for seed in (0, 0, 1))
    assert (first.test == again.test).all()
    assert (first.validation == again.validation).all()
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.test, np.arange(len(first.test)))


def test_videos_with_several_labels_are_divided_by_all_of_them() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((1000, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.01]
    targets[~targets.any(1), 0] = True
    parts = split(targets, 0.1, seed=0)
    for part, share in ((parts.test, 0.1), (parts.validation, 0.1), (parts.training, 0.8)):
        assert targets[part].mean(0) == pytest.approx(targets.mean(0), rel=0.25, abs=0.01)
        assert len(part) == pytest.approx(1000 * share, rel=0.2)
    assert (targets[parts.training].any(0) & targets[parts.test].any(0)).all()


def test_a_label_never_loses_its_last_video_to_the_test() -> None:
    # Whichever video the rare label gives to the test, the other one stays, though it is wanted for other labels.
    for seed in range(20):
        targets = np.zeros((12, 3), bool)
        targets[:, 0] = True
        targets[:2, 1] = targets[1:3, 2] = True
        parts = split(targets, 0.5, seed)
        assert targets[parts.training].any(0).all()
