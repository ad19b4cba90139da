"""The commands `learn` and `filter --learned`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from pyarrow import array, parquet

from client._commands import filter as filter_command
from client._commands import learn as learn_command
from client._learn import figures
from client._learn.answers import LEAST_ANSWERS, Answer, agreed, read_answers
from client._learn.errors import LearnError
from client._learn.features import feature_names, features_of
from client._learn.learned_filter import ATTRIBUTE, LearnedFilter
from client._learn.selection import select
from client._learn.threshold import best_threshold
from client._tables.table import Metadata, read_batches, read_metadata, read_table
from fixtures.score_tables import METADATA, write_scores

Scores = tuple[float, float, float]
ROWS = 400
ANSWERS = 100


def is_good(scores: Scores, labels: list[str]) -> bool:
    """The rule that the answers follow: two scores and a move."""
    return scores[0] > 0.8 and scores[1] < 1.8 and "zoom_in" not in labels


def table(path: Path, rows: int = ROWS, seed: int = 0, metadata: Metadata = METADATA) -> tuple[Path, NDArray[np.bool_]]:
    """A table of random scores and moves, and which of its videos are good."""
    generator = np.random.default_rng(seed)
    scores: list[Scores | str] = []
    moves: list[list[str]] = []
    good = []
    for _ in range(rows):
        row = (float(generator.uniform(0, 3)), float(generator.uniform(0, 3)), float(generator.uniform(0, 3)))
        labels = [str(label) for label in generator.choice(["zoom_in", "pan_left", "static"], 1)]
        scores.append(row)
        moves.append(labels)
        good.append(is_good(row, labels))
    clips = [[(0.0, 2.0, labels), (2.0, 4.0, labels)] for labels in moves]
    return write_scores(path, scores, clips=clips, metadata=metadata), np.array(good)


def write_answers(path: Path, answers: list[tuple[str, bool]], **columns: str) -> Path:
    """A file of answers, as a person would write it."""
    names = ["video", "answer", *columns]
    lines = [[video, "yes" if keep else "no", *columns.values()] for video, keep in answers]
    path.write_text("".join(",".join(line) + "\n" for line in [names, *lines]))
    return path


def run(capsys: pytest.CaptureFixture[str], command: str, *arguments: object) -> tuple[int, str, str]:
    main = {"learn": learn_command.main, "filter": filter_command.main}[command]
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """A thousand take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "RESAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, NDArray[np.bool_]]:
    """A filter that learned from the first hundred rows of a table, that table, and what is good in it."""
    folder = tmp_path_factory.mktemp("learned")
    scores, good = table(folder / "scores.parquet")
    videos = read_table(scores)["video"].to_pylist()
    answers = write_answers(folder / "answers.csv", [(videos[index], bool(good[index])) for index in range(ANSWERS)])
    output = folder / "filter.json"
    assert learn_command.main([str(scores), "--annotations", str(answers), "--output", str(output)]) == 0
    return output, scores, good


def probabilities(filter_file: Path, scores: Path) -> NDArray[np.float32]:
    metadata = read_metadata(scores)
    learned_filter = LearnedFilter.load(filter_file)
    return np.concatenate([learned_filter.probabilities(batch, metadata) for batch in read_batches(scores, metadata)])


def test_it_beats_the_best_threshold_on_videos_that_nobody_answered(
    learned: tuple[Path, Path, NDArray[np.bool_]],
) -> None:
    path, scores, good = learned
    metadata = read_metadata(scores)
    names = feature_names(metadata.schema(), metadata)
    features = np.concatenate([features_of(batch, metadata, names) for batch in read_batches(scores, metadata)])
    simple = best_threshold(features[:ANSWERS], good[:ANSWERS]).keeps(features[ANSWERS:])
    accuracy = ((probabilities(path, scores) >= 0.5)[ANSWERS:] == good[ANSWERS:]).mean()
    assert accuracy > (simple == good[ANSWERS:]).mean() + 0.05
    assert accuracy > 0.85


def test_the_file_is_a_model_of_xgboost_that_names_what_it_needs(learned: tuple[Path, Path, NDArray[np.bool_]]) -> None:
    path, _, _ = learned
    content = json.loads(path.read_text())
    names = content["learner"]["feature_names"]
    assert {"camera_movement_score", "object_movement_score", "camera_zoom_in"} <= {*names}
    origin = json.loads(content["learner"]["attributes"][ATTRIBUTE])
    assert origin["weights"] == {"motion": "made@1", "camera": "made@2"}
    assert origin["versions"]["xgboost"] == xgboost.__version__
    assert origin["answers"] == {"yes": sum(learned[2][:ANSWERS]), "no": sum(~learned[2][:ANSWERS])}
    booster = xgboost.Booster()
    booster.load_model(path)
    assert booster.num_features() == len(names)


def test_figures_are_of_answers_that_were_not_learned_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers by chance are learned by heart, but held out they are worth nothing."""
    scores, _ = table(tmp_path / "scores.parquet", rows=120)
    generator = np.random.default_rng(1)
    answers = [(video, bool(generator.random() < 0.5)) for video in read_table(scores)["video"].to_pylist()]
    file = write_answers(tmp_path / "answers.csv", answers)
    status, out, _ = run(capsys, "learn", scores, "--annotations", file, "--output", tmp_path / "filter.json")
    assert status == 0
    auc = json.loads(out)["figures"]["auc"]
    assert auc["low"] < 0.6
    assert auc["low"] <= auc["value"] <= auc["high"]


def test_a_person_reads_figures_and_what_matters(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, scores, good = learned
    videos = read_table(scores)["video"].to_pylist()
    answers = [(videos[index], bool(good[index])) for index in range(60)] + [("elsewhere.mp4", True)]
    file = write_answers(tmp_path / "answers.csv", answers)
    output = tmp_path / "filter.json"
    status, out, err = run(capsys, "learn", scores, "--annotations", file, "--output", output, "--format", "table")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    yes = int(good[:60].sum())
    assert lines[0].startswith(f"{yes} answers of yes, {60 - yes} of no, 1 about no scored row; ")
    assert [line.split("  ")[1].strip() for line in lines if line.startswith("  a")] == [
        *("accuracy", "auc", "average precision", "all presets")
    ]
    shares = [line for line in lines if line.rstrip("#").endswith("% ")]
    assert 3 <= len(shares) <= 10
    (rule,) = [line for line in lines if line.startswith("the best single threshold keeps ")]
    kept, option = rule.removeprefix("the best single threshold keeps ").split(": filter ")
    measure, side, cutoff = kept.split()
    assert option == f"--{'below' if side == 'above' else 'above'} {measure}={cutoff}"
    status, out, err = run(capsys, "filter", scores, *option.split(), "--format", "json")
    assert (status, err) == (0, "")
    assert 0 < json.loads(out)["kept"] < len(videos)
    assert lines[-1] == f"wrote {output}"


@pytest.mark.parametrize(
    ("yes", "no", "sentence"),
    [
        (20, 9, "there are 29 answers about scored rows of the table, and 30 are needed"),
        (40, 0, "every answer is yes: a filter needs examples of both"),
        (0, 40, "every answer is no: a filter needs examples of both"),
        (4, 40, "only 4 answers are yes, and 5 are needed, one for each fold"),
    ],
)
def test_too_few_answers_are_refused(
    yes: int, no: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, _ = table(tmp_path / "scores.parquet", rows=yes + no)
    videos = read_table(scores)["video"].to_pylist()
    file = write_answers(tmp_path / "a.csv", [(video, index < yes) for index, video in enumerate(videos)])
    output = tmp_path / "filter.json"
    assert run(capsys, "learn", scores, "--annotations", file, "--output", output) == (1, "", sentence + "\n")
    assert not output.exists()


def test_failed_videos_and_other_parts_are_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Scores | str] = [(1.0, 1.0, 1.0)] * LEAST_ANSWERS + ["the file is empty"]
    parts: list[tuple[float | None, float | None]] = [(0.0, 2.0)] * len(rows)
    scores = write_scores(tmp_path / "scores.parquet", rows, parts=parts)
    videos = read_table(scores)["video"].to_pylist()
    answers = [(video, index % 2 == 0) for index, video in enumerate(videos)]
    whole = write_answers(tmp_path / "whole.csv", answers)
    output = tmp_path / "filter.json"
    status, _, err = run(capsys, "learn", scores, "--annotations", whole, "--output", output)
    sentence = f"31 answers, none about a scored row of {scores}"
    assert (status, err) == (1, f"{sentence}: their videos are there, with other parts or without scores\n")
    elsewhere = write_answers(tmp_path / "elsewhere.csv", [(f"x/{video}", keep) for video, keep in answers])
    status, _, err = run(capsys, "learn", scores, "--annotations", elsewhere, "--output", output)
    assert (status, err) == (1, f"{sentence}\n")
    part = write_answers(tmp_path / "part.csv", answers, start_seconds="0", end_seconds="2")
    status, out, _ = run(capsys, "learn", scores, "--annotations", part, "--output", output)
    assert status == 0
    assert (json.loads(out)["answers"], json.loads(out)["not_found"]) == ({"yes": 15, "no": 15}, 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("video,label\na.mp4,yes\n", "{path} is not a file of answers: it has no column 'answer'"),
        ("answer\nyes\n", "{path} is not a file of answers: it has no column 'video'"),
        ("video,answer\na.mp4,maybe\n", "{path}, line 2: the answer is 'maybe', it must be yes or no"),
        ("video,answer\na.mp4\n", "{path}, line 2: the answer is '', it must be yes or no"),
        (
            "video,answer,start_seconds\na.mp4,yes,soon\n",
            "{path}, line 2: start_seconds is 'soon', it must be a number",
        ),
    ],
)
def test_what_is_no_file_of_answers_has_a_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(content)
    with pytest.raises(LearnError) as raised:
        read_answers(path)
    assert str(raised.value) == sentence.format(path=path)


def test_a_missing_or_binary_file_of_answers_has_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LearnError, match=r"^cannot read .*: No such file or directory$"):
        read_answers(tmp_path / "answers.csv")
    (tmp_path / "answers.csv").write_bytes(b"video,answer\n\xff\xfe,yes\n")
    with pytest.raises(LearnError, match="is not a CSV file of answers"):
        read_answers(tmp_path / "answers.csv")


def test_the_majority_of_annotators_decides() -> None:
    parts = [(name, None, None) for name in ("a", "b", "c")]
    answers = [
        Answer(parts[0], True, "ann"),
        Answer(parts[0], True, "bob"),
        Answer(parts[0], False, "cleo"),
        Answer(parts[1], True, "ann"),
        Answer(parts[1], False, "bob"),
        Answer(parts[2], True, "ann"),
        Answer(parts[2], False, "ann"),  # she changed her mind
    ]
    assert agreed(answers) == ({parts[0]: True, parts[2]: False}, 1)


def test_the_best_threshold_is_found_among_ties_and_missing_values() -> None:
    features = np.array([[5, 1], [5, 2], [5, np.nan], [5, 4], [5, 4]], np.float32)
    keep = np.array([False, False, False, True, True])
    rule = best_threshold(features, keep)
    assert (rule.feature, rule.cutoff, rule.keeps_above) == (1, 3.0, True)
    assert rule.keeps(features).tolist() == keep.tolist()
    assert best_threshold(features, ~keep).keeps(features).tolist() == (~keep).tolist()


# Using a filter.


def test_the_filter_keeps_what_it_learned(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores, _ = learned
    said = probabilities(path, scores)
    kept = tmp_path / "kept.parquet"
    status, out, err = run(capsys, "filter", scores, "--learned", path, "--at", "0.7", "--kept", kept)
    assert (status, err) == (0, "")
    counts = json.loads(out)
    assert (counts["kept"], counts["dropped_by"]) == ((said >= 0.7).sum(), {"learned": (said < 0.7).sum()})
    assert read_table(kept).equals(read_table(scores).take(np.flatnonzero(said >= 0.7)))


def test_the_best_are_kept_beside_a_preset(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores, _ = learned
    said = probabilities(path, scores)
    dynamics = read_table(scores)["dynamics_score"].to_numpy()
    objects = read_table(scores)["object_movement_score"].to_numpy()
    slideshow = (objects < np.float32(0.5)) & (dynamics > np.float32(1))
    best = np.argsort(np.where(slideshow, 1, -said), kind="stable")[:10]
    kept = tmp_path / "kept.parquet"
    arguments = ("--drop", "slideshow", "--learned", path, "--at", "0", "--top", "10", "--kept", kept)
    status, out, _ = run(capsys, "filter", scores, *arguments)
    assert status == 0
    assert json.loads(out)["kept"] == 10
    videos = read_table(scores)["video"].to_numpy()
    assert {*read_table(kept)["video"].to_pylist()} == {*videos[best]}
    assert json.loads(out)["dropped_by"] == {
        "slideshow": slideshow.sum(),
        "learned": 0,
        "top": (~slideshow).sum() - 10,
    }


def test_one_part_of_each_video_is_kept(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores, _ = learned
    said = probabilities(path, scores)
    whole = read_table(scores)
    videos = [f"{index // 4}.mp4" for index in range(ROWS)]
    several = tmp_path / "several.parquet"
    parquet.write_table(whole.set_column(0, whole.schema.field("video"), array(videos)), several)
    kept = tmp_path / "kept.jsonl"
    arguments = ("--learned", path, "--at", "0", "--one-per", "source", "--kept", kept)
    assert run(capsys, "filter", several, *arguments)[0] == 0
    expected = [4 * group + int(np.argmax(said[4 * group : 4 * group + 4])) for group in range(ROWS // 4)]
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["video"] for row in rows] == [f"{group}.mp4" for group in range(ROWS // 4)]
    motion = whole["camera_movement_score"].to_numpy()[expected]
    assert [row["motion"]["camera_movement_score"] for row in rows] == pytest.approx(motion.tolist(), abs=1e-6)


def test_one_of_each_value_of_a_kept_column_is_kept(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, scores, _ = learned
    whole = read_table(scores)
    several, kept = tmp_path / "several.parquet", tmp_path / "kept.parquet"
    with_ids = whole.append_column("id", array([str(index // 4) for index in range(ROWS)]))
    schema = replace(METADATA, kept=("id",)).schema()
    parquet.write_table(with_ids.replace_schema_metadata(schema.metadata), several)
    arguments = ("--learned", path, "--at", "0", "--one-per", "id", "--kept", kept)
    assert run(capsys, "filter", several, *arguments)[0] == 0
    assert read_table(kept)["id"].to_pylist() == [str(group) for group in range(ROWS // 4)]


def test_what_selection_drops_has_one_reason_each() -> None:
    said = np.array([0.9, 0.8, 0.7, 0.6, 0.2, np.nan], np.float32)
    eligible = np.array([True, True, True, False, True, False])
    dropped = select(said, eligible, np.array([0, 0, 1, 2, 3, 4]), at=0.5, top=1).dropped
    assert dropped["learned"].tolist() == [False, False, False, False, True, False]
    assert dropped["one_per"].tolist() == [False, True, False, False, False, False]
    assert dropped["top"].tolist() == [False, False, True, False, False, False]


def test_a_filter_that_learned_from_latents_knows_whose(
    learned: tuple[Path, Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = replace(METADATA, weights=METADATA.weights | {"autoencoder": "made@5"})
    scores, good = table(tmp_path / "scores.parquet", 60, metadata=metadata)
    videos = read_table(scores)["video"].to_pylist()
    answers = write_answers(tmp_path / "answers.csv", list(zip(videos, map(bool, good), strict=True)))
    output = tmp_path / "filter.json"
    assert run(capsys, "learn", scores, "--annotations", answers, "--output", output)[0] == 0
    assert run(capsys, "filter", scores, "--learned", output)[0] == 0
    status, _, err = run(capsys, "filter", learned[1], "--learned", output)
    assert status == 1
    assert f"learned from scores of made@5 (autoencoder), and {learned[1]} has scores of None: learn it again" in err
    # One that learned without an autoencoder takes a table with one.
    assert run(capsys, "filter", scores, "--learned", learned[0])[0] == 0


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (
            Metadata({"motion": "other@1", "camera": "made@2"}, METADATA.labels),
            "the filter was learned from scores of made@1 (motion), and {table} has scores of other@1: learn it again",
        ),
        (
            Metadata({"motion": "made@1", "camera": "other@2"}, METADATA.labels),
            "the filter was learned from scores of made@2 (camera), and {table} has scores of other@2: learn it again",
        ),
        (Metadata({}, METADATA.labels), "{table} does not say which weights its scores come from"),
        (
            Metadata(METADATA.weights, METADATA.labels[:3]),
            "{table} lacks what the filter was learned from (camera_",
        ),
    ],
)
def test_a_filter_for_another_table_is_refused(
    metadata: Metadata,
    sentence: str,
    learned: tuple[Path, Path, NDArray[np.bool_]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = write_scores(tmp_path / "scores.parquet", [(1.0, 1.0, 1.0)], metadata=metadata)
    status, out, err = run(capsys, "filter", scores, "--learned", learned[0])
    assert (status, out) == (1, "")
    assert err.startswith(sentence.format(table=scores))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"learner": 1}', "\x00binf", "[" * 100_000])
def test_what_is_no_learned_filter_has_a_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text(content)
    with pytest.raises(LearnError, match="is not a learned filter"):
        LearnedFilter.load(path)


def test_a_model_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    xgboost.train({}, xgboost.DMatrix(np.ones((2, 1)), np.ones(2)), 1).save_model(path)
    with pytest.raises(LearnError, match="it does not name its features and weights"):
        LearnedFilter.load(path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--top", "3"], "--at, --top and --one-per are for --learned FILE"),
        (["--at", "0"], "--at, --top and --one-per are for --learned FILE"),
        (["--drop", "static", "--one-per", "video"], "--at, --top and --one-per are for --learned FILE"),
        (["--learned", "f.json", "--at", "1.5"], "argument --at: 1.5 is not between 0 and 1"),
        (["--learned", "f.json", "--top", "0"], "argument --top: 0 is not at least 1"),
        ([], "nothing to drop: give --drop PRESET, --below, --above or --learned FILE"),
    ],
)
def test_a_wrong_command_line_of_the_filter(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        filter_command.main(["scores.parquet", *arguments])
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def measured(path: Path, sharpness: NDArray[np.float32]) -> Path:
    """A table of equal scores and random measures, but for the sharpness."""
    generator = np.random.default_rng(1)
    measures: list[dict[str, float | None]] = [
        {"sharpness": float(sharp), "brightness": float(generator.uniform(0, 255)), "letterbox": None}
        for sharp in sharpness
    ]
    return write_scores(path, [(1.0, 1.0, 1.0)] * len(sharpness), measures=measures)


def test_measures_are_features_and_a_table_without_them_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sharpness = np.random.default_rng(0).uniform(0, 1000, 120).astype(np.float32)
    scores = measured(tmp_path / "s.parquet", sharpness)
    videos = read_table(scores)["video"].to_pylist()
    answers = write_answers(tmp_path / "a.csv", [(videos[index], bool(sharpness[index] > 400)) for index in range(80)])
    output = tmp_path / "filter.json"
    status, out, _ = run(capsys, "learn", scores, "--annotations", answers, "--output", output)
    assert status == 0
    importance = json.loads(out)["importance"]
    assert max(importance, key=importance.get) == "sharpness"
    kept = tmp_path / "kept.txt"
    assert run(capsys, "filter", scores, "--learned", output, "--kept", kept)[0] == 0
    wanted = [video for video, sharp in zip(videos, sharpness, strict=True) if sharp > 400]
    assert len({*kept.read_text().split()} ^ {*wanted}) <= 4
    other = write_scores(tmp_path / "other.parquet", [(1.0, 1.0, 1.0)] * 3)
    status, _, err = run(capsys, "filter", other, "--learned", output)
    sentence = f"{other} lacks what the filter was learned from (sharpness): score with the same signals\n"
    assert (status, err.replace("brightness, ", "")) == (1, sentence)
    # Beside a verdict, whose measure decides first.
    bars = run(capsys, "filter", scores, "--learned", output, "--drop", "frozen", "--top", "5")
    assert json.loads(bars[1])["kept"] == 5
