"""`python -m bench.camera`: figures, layouts, and rendered clips through a server."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from bench.camera.__main__ import compare, main, of_video
from bench.camera.datasets import LABEL_MAP, Dataset, DatasetError, read_dataset
from bench.camera.figures import label_figures, mean, taken_for
from bench.camera.scores import Scored
from export.random_weights import CAMERA_LABELS
from fixtures.synthetic import encode
from server import Server

LABELS = ("pan_left", "zoom_in", "dolly_in", "static")


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    probabilities = np.round(np.clip(rng.random(60) * 0.7 + truth * 0.3, 0, 1), 1)  # with ties
    found = label_figures("pan_left", truth, probabilities, 0.5)
    given = probabilities >= 0.5
    assert found.videos == truth.sum()
    assert found.precision == pytest.approx(precision_score(truth, given))
    assert found.recall == pytest.approx(recall_score(truth, given))
    assert found.f1 == pytest.approx(f1_score(truth, given))
    assert found.average_precision == pytest.approx(average_precision_score(truth, probabilities))


def test_a_label_that_no_video_has_does_not_count() -> None:
    nothing = label_figures("pan_left", np.zeros(3, bool), np.array([0.1, 0.9, 0.5]), 0.5)
    assert (nothing.videos, nothing.recall, nothing.f1, nothing.average_precision) == (0, None, None, None)
    never = label_figures("pan_left", np.array([True, False]), np.array([0.2, 0.1]), 0.5)
    assert (never.precision, never.recall, never.f1, never.average_precision) == (0, 0, 0, 1)
    assert mean([None, 0.5, 1.0]) == 0.75
    assert mean([None]) is None


def test_what_is_taken_for_what() -> None:
    truth = [frozenset({"zoom_in"}), frozenset({"zoom_in", "pan"}), frozenset({"zoom_in", "dolly_in"}), frozenset()]
    probabilities = [{"zoom_in": 0.3, "dolly_in": 0.4}, {"zoom_in": 0.9, "dolly_in": 0.4}] * 2
    assert taken_for(("zoom_in", "dolly_in"), truth, probabilities).tolist() == [[1, 1], [0, 0]]


def test_a_videos_probability_is_that_of_its_clips() -> None:
    scored = Scored(({"static": 0.2}, {"static": 0.8}), (2.0, 1.0))
    assert of_video(scored, ["static"], "mean") == {"static": pytest.approx(0.4)}
    assert of_video(scored, ["static"], "max") == {"static": 0.8}


def test_the_label_map_names_labels_of_the_classifier_in_the_right_direction() -> None:
    names = json.loads(LABEL_MAP.read_text())["CameraBench"]
    assert set(names.values()) <= set(CAMERA_LABELS)
    for name, label in names.items():
        for direction in ("left", "right", "in", "out", "up", "down"):
            if name.endswith(f"-{direction}"):
                assert label == name.replace("-", "_")
    # Seen from above, a camera that looks at the subject and goes clockwise around it goes to its left.
    assert (names["arc-CW"], names["roll-CW"]) == ("arc_left", "roll_right")


def write_camerabench(directory: Path, rows: list[tuple[str, list[str]]], *, array: bool = False) -> Path:
    content = [{"Video": "u.gif", "path": path, "labels": labels, "caption": "x"} for path, labels in rows]
    if array:
        (directory / "test.json").write_text(json.dumps(content))
    else:
        (directory / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return directory


@pytest.mark.parametrize("array", [False, True])
def test_the_layout_of_camerabench(array: bool, tmp_path: Path) -> None:
    rows = [("videos/a.mp4", ["pan-left", "regular-speed", "side-tracking"]), ("videos/b.mp4", ["no-motion"])]
    dataset = read_dataset(write_camerabench(tmp_path, rows, array=array), LABELS)
    assert dataset == Dataset(
        "CameraBench",
        {tmp_path / "videos/a.mp4": frozenset({"pan_left"}), tmp_path / "videos/b.mp4": frozenset()},
        frozenset(LABELS),
        ("no-motion", "regular-speed", "side-tracking"),
    )


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("video", "label"), *rows])
    return path


def test_the_layout_of_a_csv_file(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "labels.csv", [("a.mp4", "pan_left;zoom_in"), ("b.mp4", "spin"), ("a.mp4", "static")])
    expected = Dataset(
        "CSV",
        {tmp_path / "a.mp4": frozenset({"pan_left", "zoom_in", "static"}), tmp_path / "b.mp4": frozenset()},
        frozenset({"pan_left", "zoom_in", "static"}),
        ("spin",),
    )
    assert read_dataset(path, LABELS) == expected
    assert read_dataset(tmp_path, LABELS) == expected


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("other.txt", "", "has neither test.jsonl nor test.json nor labels.csv"),
        ("test.jsonl", "", "names no video"),
        ("test.jsonl", "{", "cannot read"),
        ("test.jsonl", '{"path": 1, "labels": []}', "row 1 of .* is no object with path and labels"),
        ("test.jsonl", '{"path": "a"}', "row 1 of .* is no object with path and labels"),
        ("test.json", "[3]", "row 1 of .* is no object with path and labels"),
        ("labels.csv", "video\n", "has no column 'label'"),
        ("labels.csv", "video,label\na,spin\n", r"has none of the classifier's labels \(dolly_in, .*\), but spin"),
    ],
)
def test_a_data_set_that_cannot_be_read_is_a_sentence(name: str, content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=sentence):
        read_dataset(tmp_path, LABELS)


def test_only_labels_that_somebody_looked_for_are_compared(tmp_path: Path) -> None:
    videos = [tmp_path / "a", tmp_path / "b"]
    dataset = Dataset(
        "CSV", dict(zip(videos, [frozenset({"zoom_in"}), frozenset()], strict=True)), frozenset({"zoom_in"}), ()
    )
    clips = [{"zoom_in": 0.9, "dolly_in": 0.1}, {"zoom_in": 0.6, "dolly_in": 0.9}]
    content = compare(
        dataset, {video: Scored((clip,), (2.0,)) for video, clip in zip(videos, clips, strict=True)}, 0.5, "mean"
    )
    assert [row["label"] for row in content["labels"]] == ["zoom_in"]
    assert content["macro_f1"] == pytest.approx(2 / 3)
    assert content["zoom_or_dolly"] == {"labels": ["zoom_in"], "counts": [[1]]}


def test_a_classifier_with_other_labels_is_a_sentence(tmp_path: Path) -> None:
    write_camerabench(tmp_path, [("a.mp4", ["static"])])
    with pytest.raises(DatasetError, match="the classifier has none of CameraBench's labels, but left, right"):
        read_dataset(tmp_path, ("right", "left"))


@pytest.mark.parametrize("layout", ["CameraBench", "CSV"])
def test_videos_of_both_layouts_are_scored(
    layout: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        (tmp_path / "videos" / f"{name}.mp4").write_bytes(encode(30))
    (tmp_path / "videos" / "c.mp4").write_bytes(b"no video")
    names = {name: f"videos/{name}.mp4" for name in "abcd"}
    if layout == "CSV":
        dataset = write_csv(tmp_path / "my.csv", [(path, "pan_left") for path in names.values()])
    else:
        dataset = write_camerabench(tmp_path, [(path, ["pan-left", "static"]) for path in names.values()])
    output = tmp_path / "figures"
    command = [str(dataset), "--url", server.url, "--output", str(output)]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"2 videos ({layout}), 2 failed; threshold 0.5, mean of the clips\n")
    figures = json.loads((output / "figures.json").read_text())
    assert (figures["videos"], figures["failed"]) == (2, 2)
    assert {row["label"]: row["videos"] for row in figures["labels"]}["pan_left"] == 2
    assert main(command) == 1  # from the table
    assert capsys.readouterr().out == said
