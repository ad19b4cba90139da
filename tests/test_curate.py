"""The walk-through of docs/curate.md: from footage to clips with the commands of the page, at small size.

The films are joined from shots of blurred and of sharp pictures. The answers want the sharp ones.
"""

import csv
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from client.__main__ import main
from client._tables.row import METRIC_COLUMNS
from client._tables.table import read_table
from client._tables.verdicts import VERDICTS
from fixtures.rendered import encode_pictures, moved, texture
from server import Server
from tests.doc_blocks import blocks
from tests.stub_server import Answer
from tests.stub_signals import WEIGHTS, SignalsConnection
from tests.test_counting import page_data

pytestmark = pytest.mark.heavy

FILMS, SHOTS = 4, 9
RATE = 10
SHOT_FRAMES = 8
SHOT_SECONDS = SHOT_FRAMES / RATE
ANSWERED = 32
"""Of the 36 scenes."""


@dataclass(frozen=True)
class Film:
    """A film, and which of its shots are sharp."""

    content: bytes
    is_sharp: list[bool]


@dataclass(frozen=True)
class Walked:
    """What the commands of the page left in a folder."""

    folder: Path
    said: dict[str, dict[str, Any]]
    """What `learn` and `filter` printed."""


def film(number: int) -> Film:
    is_sharp = [bool(each) for each in np.random.default_rng(number).permutation(np.arange(SHOTS) % 2)]
    pictures: list[NDArray[np.uint8]] = []
    for shot, sharp in enumerate(is_sharp):
        picture = texture(100 * number + shot, 128, 96, detail=64 if sharp else 8)
        # Cuts between pictures of one lightness are hard to see for the default detector.
        lit = picture if shot % 2 else np.asarray(picture // 3, np.uint8)
        pictures += moved(lit, SHOT_FRAMES, 1)
    return Film(encode_pictures(pictures, RATE), is_sharp)


@pytest.fixture(scope="module")
def films() -> dict[str, Film]:
    return {f"film{number}.mp4": film(number) for number in range(FILMS)}


def commands() -> list[list[str]]:
    """Those of the page, in words, without the program's name."""
    (block,) = [each for each in blocks() if each.place.startswith("docs/curate.md") and "motion scenes" in each.text]
    return [shlex.split(line)[1:] for line in block.lines]


def answer(films: dict[str, Film]) -> None:
    """Write the answers of a person who wants sharp pictures, as the page of questions does."""
    rows = read_table("scores.parquet").to_pylist()[:ANSWERED]
    with open("annotations.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("video", "start_seconds", "end_seconds", "answer"))
        for row in rows:
            word = "yes" if wanted(row, films) else "no"
            lines.writerow((row["video"], row["start_seconds"], row["end_seconds"], word))


def wanted(row: dict[str, Any], films: dict[str, Film]) -> bool:
    return films[Path(row["video"]).name].is_sharp[round(row["start_seconds"] / SHOT_SECONDS)]


def walk(films: dict[str, Film], folder: Path, score: Callable[[list[str]], int], capsys: Any) -> Walked:
    (folder / "footage").mkdir()
    for name, each in films.items():
        (folder / "footage" / name).write_bytes(each.content)
    said = {}
    steps = commands()
    assert [words[0] for words in steps] == ["scenes", "score", "annotate", "learn", "filter", "cut", "report"]
    for words in steps:
        capsys.readouterr()
        if words[0] == "annotate":
            answer(films)
        else:
            assert (score if words[0] == "score" else main)(words) == 0, capsys.readouterr().err
        if words[0] in ("learn", "filter"):
            said[words[0]] = json.loads(capsys.readouterr().out)
    return Walked(folder, said)


def check(walked: Walked, films: dict[str, Film]) -> None:
    """The counts of each step, from the truth of the films."""
    scenes = parquet.read_table("scenes.parquet").to_pylist()
    assert len(scenes) == FILMS * SHOTS
    assert [round(row["start_seconds"] * RATE) % SHOT_FRAMES for row in scenes] == [0] * len(scenes)
    scores = read_table("scores.parquet")
    rows = scores.to_pylist()
    found = {(row["video"], row["start_seconds"], row["scene"]) for row in rows}  # in the order of the answers
    assert found == {(scene["path"], scene["start_seconds"], str(scene["scene"])) for scene in scenes}
    assert len(rows) == len(scenes)
    assert set(METRIC_COLUMNS) <= set(scores.column_names)
    learned = walked.said["learn"]
    yes = sum(wanted(row, films) for row in rows[:ANSWERED])
    assert (learned["answers"], learned["not_found"]) == ({"yes": yes, "no": ANSWERED - yes}, 0)
    # What the answers go by, or another measure that detail changes.
    assert max(learned["importance"], key=learned["importance"].get) in METRIC_COLUMNS
    counts = walked.said["filter"]
    assert counts["videos"] == FILMS * SHOTS
    assert (counts["failed"], counts["kept"]) == (0, FILMS)  # the best of each film
    assert counts["kept"] + counts["dropped"] == counts["videos"]
    dropped_by = counts["dropped_by"]
    assert [*dropped_by] == ["black", "frozen", "learned", "one_per"]
    assert abs(dropped_by["learned"] - FILMS * (SHOTS + 1) // 2) <= 2  # half of the shots are blurred
    assert sum(dropped_by.values()) == counts["dropped"]
    kept = read_table("kept.parquet").to_pylist()
    assert [wanted(row, films) for row in kept] == [True] * FILMS
    assert {row["video"] for row in kept} == {f"footage/{name}" for name in films}
    assert parquet.read_table("dropped.parquet").num_rows == FILMS * (SHOTS - 1)
    clips = [json.loads(line) for line in Path("clips/clips.jsonl").read_text().splitlines()]
    assert len(clips) == FILMS
    for clip in clips:
        with av.open(str(Path("clips", clip["path"]))) as file:
            assert sum(1 for _ in file.decode(video=0)) == clip["frames"] == SHOT_FRAMES
    content = page_data(Path("report.html"))["content"]
    assert (content["videos"], content["scored"], content["hasParts"]) == (FILMS * SHOTS, FILMS * SHOTS, True)
    shown = {preset["name"] for preset in content["presets"]}
    assert {"learned", *VERDICTS} <= shown | content["presetsNotTold"].keys()
    assert {"black", "frozen", "learned"} == {preset["name"] for preset in content["presets"] if preset["on"]}


class Measuring(SignalsConnection):
    """Answers with the sharpness that the films were made with, and with random scores."""

    def __init__(self, films: dict[str, Film]) -> None:
        super().__init__(WEIGHTS | {"metrics": tuple(METRIC_COLUMNS.values())})
        self._films = {each.content: each for each in films.values()}
        self._random = np.random.default_rng(0)

    def infer(self, model_name: str, inputs: list[Any], outputs: list[Any] | None = None, **options: Any) -> Answer:
        if options.get("parameters"):
            content = inputs[0]._get_content()
            video = next(each for start, each in self._films.items() if content.endswith(start[-1000:]))
            shot = round(options["parameters"].get("start_seconds", 0) / SHOT_SECONDS)
            sharpness = (900 if video.is_sharp[shot] else 50) + self._random.normal(0, 20)
            values = {"sharpness": sharpness, "black_share": 0, "frozen_share": 0, "frames": 4}
            row = [values.get(name, 1.0) for name in METRIC_COLUMNS.values()]
            scores = self._random.uniform(0, 3, (1, 3))
            measured = {"METRICS": np.array([row], np.float32), "MOTION_SCORES": scores.astype(np.float32)}
            self.outputs = self.outputs | measured
        return super().infer(model_name, inputs, outputs, **options)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("client._learn.figures.RESAMPLES", 40)


@pytest.mark.slow
def test_the_walk_with_answers_of_a_stand_in(
    films: dict[str, Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = Measuring(films)
    monkeypatch.setattr("client._sdk.client.connect", lambda *_, **__: connection)
    walked = walk(films, tmp_path, lambda words: main([*words, "--in-flight", "1"]), capsys)
    check(walked, films)
    importance = walked.said["learn"]["importance"]
    assert max(importance, key=importance.get) == "sharpness"  # which alone the stand-in measures


@pytest.mark.slow
def test_the_walk_with_a_server(
    films: dict[str, Film], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(walk(films, tmp_path, lambda words: main([*words, "--url", server.url]), capsys), films)
