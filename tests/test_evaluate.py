"""The command `evaluate`, against a script from the definition and on sets whose truth is known; no server."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from client._commands import filter as filter_command
from client._commands.evaluate import main
from client._evaluate.statistics import compare_pairs, compare_sets, figures
from fixtures.frame_tables import write_frames
from tests.stub_signals import answer_with_signals
from tests.stub_text import TextConnection, answer_with_text, embedding_of

WIDTH = 16
Matrices = dict[str, NDArray[np.floating] | None]


def embed(text: str) -> NDArray[np.float32]:
    return embedding_of(text, WIDTH)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> TextConnection:
    return answer_with_text(monkeypatch, embed)


def make_set(
    path: Path,
    count: int,
    seed: int,
    *,
    strength: Mapping[str, float],
    shuffled: bool = False,
    frames: int = 5,
    **options: Any,
) -> tuple[Path, Matrices, dict[str, list[str | None]]]:
    """A table whose frames are noise, plus for each caption column so much of the direction of its text.

    shuffled: captions are then given to the next row, so that none fits.
    """
    rng = np.random.default_rng(seed)
    captions: dict[str, list[str | None]] = {
        name: [f"{name} {seed} {index}" for index in range(count)] for name in strength
    }
    videos: Matrices = {}
    for index in range(count):
        matrix = rng.standard_normal((frames, WIDTH)).astype(np.float32)
        for name, share in strength.items():
            matrix += np.float32(share) * embed(str(captions[name][index]))
        videos[f"{seed}_{index}.mp4"] = matrix
    if shuffled:
        captions = {name: texts[1:] + texts[:1] for name, texts in captions.items()}
    return write_frames(path, videos, captions=captions, **options), videos, captions


def by_definition(frames: NDArray[np.floating], caption: str) -> float:
    """Frame by frame and value by value: the mean over every second one of max(0, 100 cos)."""
    text = embed(caption).tolist()
    scores = []
    for number, frame in enumerate(frames.tolist()):
        if number % 2:
            continue
        dot = math.fsum(one * other for one, other in zip(frame, text, strict=True))
        lengths = math.sqrt(math.fsum(one * one for one in frame)) * math.sqrt(math.fsum(one * one for one in text))
        scores.append(max(0.0, 100.0 * dot / lengths))
    return sum(scores) / len(scores)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main([*map(str, arguments), "--format", "json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_figures_are_those_of_the_definition(
    dtype: type[np.floating], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strength = {"caption": 0.2, "recaption": 0.6}
    path, videos, captions = make_set(tmp_path / "chosen.parquet", 90, 1, strength=strength, frames=6, dtype=dtype)
    other, others, texts = make_set(tmp_path / "random.parquet", 70, 2, strength=strength, frames=1, dtype=dtype)
    result = run(capsys, path, other, "--captions", "caption,recaption")
    for each, matrices, columns in ((result["sets"][0], videos, captions), (result["sets"][1], others, texts)):
        assert (each["rows"], each["without_embeddings"], each["without_captions"]) == (len(matrices), 0, 0)
        for name, found in each["captions"].items():
            pairs = zip(matrices.values(), columns[name], strict=True)
            scores = [by_definition(frames.astype(dtype), str(text)) for frames, text in pairs if frames is not None]
            assert found["count"] == len(scores)
            assert found["mean"] == pytest.approx(np.mean(scores), abs=1e-4)
            assert found["median"] == pytest.approx(np.median(scores), abs=1e-4)
            low, high = found["mean_confidence_95"]
            margin = float(1.96 * np.std(scores, ddof=1) / math.sqrt(len(scores)))
            assert (low, high) == pytest.approx((np.mean(scores) - margin, np.mean(scores) + margin), abs=margin / 5)
    assert result["weights"] == "c@3"
    of_sets = [each for each in result["comparisons"] if "caption" in each]
    assert [(each["caption"], each["first"], each["second"]) for each in of_sets] == [
        (name, str(path), str(other)) for name in strength
    ]
    of_captions = [each for each in result["comparisons"] if "table" in each]
    assert [(each["table"], each["first"], each["second"]) for each in of_captions] == [
        (str(table), "recaption", "caption") for table in (path, other)
    ]
    means = [{name: found["mean"] for name, found in each["captions"].items()} for each in result["sets"]]
    assert of_sets[0]["difference"] == pytest.approx(means[0]["caption"] - means[1]["caption"], abs=1e-4)
    assert of_captions[0]["difference"] == pytest.approx(means[0]["recaption"] - means[0]["caption"], abs=1e-4)
    assert of_captions[0]["p_value"] < 0.01
    assert of_captions[0]["effect_size"] > 0.3


@pytest.mark.heavy
@pytest.mark.slow
def test_the_truth_is_found_in_twenty_repetitions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Captions that fit against the same ones of other rows, and against others that fit as well."""
    false_alarms = 0
    for seed in range(20):
        strength = {"caption": 0.5}
        fitting, *_ = make_set(tmp_path / "fitting.parquet", 60, 3 * seed, strength=strength)
        shuffled, *_ = make_set(tmp_path / "shuffled.parquet", 60, 3 * seed + 1, strength=strength, shuffled=True)
        same, *_ = make_set(tmp_path / "same.parquet", 60, 3 * seed + 2, strength=strength)
        (different,) = run(capsys, fitting, shuffled)["comparisons"]
        assert different["p_value"] < 0.01
        assert different["difference"] > 0
        assert different["effect_size"] > 0
        assert different["difference_confidence_95"][0] > 0
        if seed == 0:
            (reversed_,) = run(capsys, shuffled, fitting)["comparisons"]
            assert reversed_["difference"] == pytest.approx(-different["difference"], rel=1e-4)
            assert reversed_["effect_size"] == pytest.approx(-different["effect_size"], rel=1e-4)
        (equal,) = run(capsys, fitting, same)["comparisons"]
        false_alarms += equal["p_value"] <= 0.05
    print(f"{false_alarms} of 20 false alarms")
    assert false_alarms <= 3  # of 20, with 5 % each: more would come once in 60 times


def test_pairs_find_what_sets_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same two columns, in pairs and as if they were two sets."""
    rng = np.random.default_rng(0)
    old = rng.normal(20, 5, 50)
    new = old + rng.normal(0.5, 0.5, 50)
    pairs, sets = compare_pairs(new, old, 0), compare_sets(new, old, 0)
    assert pairs.p_value is not None
    assert sets.p_value is not None
    assert pairs.p_value < 0.001 < 0.05 < sets.p_value
    assert pairs.test == "Wilcoxon signed-rank"
    assert sets.test == "Mann-Whitney U"
    assert pairs.difference == pytest.approx(sets.difference)
    # Effects by their definitions, in loops.
    wins = sum(float(np.sign(one - other)) for one in new for other in old) / 2500
    assert sets.effect_size == pytest.approx(wins)
    order = np.argsort(np.abs(new - old))
    ranks = {index: rank for rank, index in enumerate(order, 1)}
    signed = sum(ranks[index] * np.sign(new[index] - old[index]) for index in range(50)) / sum(ranks.values())
    assert pairs.effect_size == pytest.approx(signed)


def test_few_or_equal_rows_have_no_test() -> None:
    one, two = np.array([1.0]), np.array([2.0, 2.0])
    assert figures(one, 0).mean_confidence_95 is None
    assert compare_sets(one, two, 0).p_value is None
    assert compare_pairs(one, one, 0).p_value is None
    equal = compare_pairs(two, two, 0)
    assert (equal.p_value, equal.effect_size, equal.difference_confidence_95) == (1.0, 0.0, (0.0, 0.0))
    assert figures(two, 0).mean_confidence_95 == (2.0, 2.0)


def test_a_sample_is_drawn_from_the_rows_that_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen, *_ = make_set(tmp_path / "chosen.parquet", 20, 1, strength={"caption": 1.0})
    everything, videos, captions = make_set(tmp_path / "all.parquet", 100, 2, strength={"caption": 1.0})
    videos = {name: None if index < 30 else matrix for index, (name, matrix) in enumerate(videos.items())}
    captions["caption"][30:40] = [None] * 5 + [" "] * 5
    write_frames(everything, videos, captions=captions)
    results = [run(capsys, chosen, everything, "--sample", "--seed", seed)["sets"][1] for seed in (0, 0, 1)]
    assert [each["rows"] for each in results] == [20] * 3  # as many as the first set has
    assert [each["captions"]["caption"]["count"] for each in results] == [20] * 3
    assert results[0] == results[1]
    assert results[0]["captions"] != results[2]["captions"]
    whole = run(capsys, chosen, everything, "--sample", 60)["sets"][1]["captions"]["caption"]["mean"]
    unsampled = run(capsys, chosen, everything)["sets"][1]
    assert (unsampled["rows"], unsampled["without_embeddings"], unsampled["without_captions"]) == (100, 30, 10)
    assert whole == unsampled["captions"]["caption"]["mean"]
    assert main([str(chosen), str(everything), "--sample", "61"]) == 1
    assert "has 60 rows with embeddings and captions, fewer than the 61 to draw" in capsys.readouterr().err


def test_a_sample_has_no_row_of_the_first_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chosen from the table itself, the chosen rows would be compared with themselves."""
    everything, videos, captions = make_set(tmp_path / "all.parquet", 50, 2, strength={"caption": 1.0})
    names = list(videos)[:20]
    chosen = write_frames(
        tmp_path / "chosen.parquet",
        {name: videos[name] for name in names},
        captions={"caption": captions["caption"][:20]},
    )
    result = run(capsys, chosen, everything, "--sample", 30, "--seed", 3)
    assert result["shared_rows"] == 20
    rest = run(capsys, everything)["sets"][0]["captions"]["caption"]["mean"] * 50
    rest -= run(capsys, chosen)["sets"][0]["captions"]["caption"]["mean"] * 20
    assert result["sets"][1]["captions"]["caption"]["mean"] == pytest.approx(rest / 30, rel=1e-4)
    assert main([str(chosen), str(everything), "--sample", "31"]) == 1
    assert "has 30 rows with embeddings and captions, which are not in the first table" in capsys.readouterr().err
    assert main([str(chosen), str(everything)]) == 0
    assert "NOTE: 20 rows are in both tables, so the sets are not independent" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_captions_may_come_from_a_list(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, videos, captions = make_set(tmp_path / "scores.parquet", 10, 1, strength={"caption": 1.0})
    expected = run(capsys, path)["sets"][0]["captions"]
    table = parquet.read_table(path)
    listed = tmp_path / f"list{suffix}"
    rows = [{"video": name, "caption": text} for name, text in zip(videos, captions["caption"], strict=True)]
    rows = [*rows[1:], {"video": "another.mp4", "caption": "x"}]
    if suffix == ".csv":
        with listed.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["video", "caption"])
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == ".jsonl":
        listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        parquet.write_table(table.select(["video", "caption"]).slice(1), listed)
    parquet.write_table(table.drop_columns(["caption"]), path)
    assert main([str(path)]) == 1
    assert "has no column caption: name those that it has with --captions, or give a list" in capsys.readouterr().err
    (found,) = run(capsys, path, "--texts", listed)["sets"]
    assert (found["captions"]["caption"]["count"], found["without_captions"]) == (9, 1)
    assert found["captions"]["caption"]["mean"] != expected["caption"]["mean"]  # without the first row


def test_captions_that_lines_kept_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`score --keep caption` puts them into an object of their own."""
    path, *_ = make_set(tmp_path / "scores.parquet", 10, 1, strength={"caption": 1.0})
    expected = run(capsys, path)["sets"][0]
    table = parquet.read_table(path)
    content = json.loads(table.schema.metadata[b"video_motion"]) | {"kept": ["caption"]}
    parquet.write_table(table.replace_schema_metadata({b"video_motion": json.dumps(content)}), path)
    lines = tmp_path / "scores.jsonl"
    assert filter_command.main([str(path), "--drop", "static", "--kept", str(lines)]) == 0
    assert "caption" not in json.loads(lines.read_text().splitlines()[0])
    capsys.readouterr()
    assert run(capsys, lines)["sets"][0]["captions"] == expected["captions"]


def test_captions_of_lines_may_have_any_character(tmp_path: Path, connection: TextConnection) -> None:
    """Ends of lines of Unicode are none of JSON lines; half a surrogate is no UTF-8, so no server takes it."""
    path, *_ = make_set(tmp_path / "scores.parquet", 2, 1, strength={"title": 1.0})
    listed = tmp_path / "list.jsonl"
    texts = {"1_0.mp4": "one\u2028two\x85three", "1_1.mp4": "a \ud83d dog"}
    lines = [json.dumps({"video": name, "caption": text}, ensure_ascii=False) for name, text in texts.items()]
    listed.write_text("\n".join(lines), "utf-8", "surrogatepass")
    assert main([str(path), "--texts", str(listed)]) == 1  # not UTF-8
    lines = [*lines[:1], json.dumps({"video": "1_1.mp4", "caption": "a \ud83d dog"})]
    listed.write_text("\n".join(lines), "utf-8")
    assert main([str(path), "--texts", str(listed)]) == 0
    assert sorted(connection.texts) == ["a \\xed\\xa0\\xbd dog", "one\u2028two\x85three"]


def test_texts_that_are_cut_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames: Matrices = {name: np.ones((2, WIDTH), np.float32) for name in "abc"}
    path = write_frames(
        tmp_path / "scores.parquet", frames, captions={"caption": ["word " * 100, "short", "word " * 78]}
    )
    (found,) = run(capsys, path)["sets"]
    assert found["captions"]["caption"]["texts_cut"] == 2
    assert main([str(path), "--format", "table"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("2 texts cut")


def test_each_text_is_embedded_once_per_batch(
    connection: TextConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames: Matrices = {name: np.ones((2, WIDTH), np.float32) for name in "abcd"}
    path = write_frames(tmp_path / "scores.parquet", frames, captions={"caption": ["x", "y", "x", "x"]})
    run(capsys, path)
    assert sorted(connection.texts) == ["x", "y"]


def test_the_picture_shows_every_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strength = {"caption": 0.2, "recaption": 0.6}
    path, *_ = make_set(tmp_path / "chosen.parquet", 30, 1, strength=strength)
    picture = tmp_path / "fit.svg"
    run(capsys, path, "--captions", "caption,recaption", "--picture", picture)
    content = picture.read_text()
    assert "<!-- chosen.parquet -->" in content
    assert content.count("recaption") >= 1
    (tmp_path / "b").mkdir()
    other, *_ = make_set(tmp_path / "b" / "chosen.parquet", 30, 2, strength=strength)
    run(capsys, path, other, "--picture", picture)
    assert all(f"<!-- {each} -->" in picture.read_text() for each in (path, other))
    raster = tmp_path / "fit.png"
    run(capsys, path, "--picture", raster)
    assert raster.read_bytes().startswith(b"\x89PNG")


def test_a_person_reads_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strength = {"caption": 0.2, "recaption": 0.6}
    path, *_ = make_set(tmp_path / "chosen.parquet", 30, 1, strength=strength)
    other, *_ = make_set(tmp_path / "random.parquet", 30, 2, strength={"caption": 0.2})
    assert main([str(path), str(other), "--captions", "caption,recaption", "--format", "table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}   30 rows, 0 without embeddings, 0 more without a caption"
    assert lines[1].startswith("  caption              n       30   mean ")
    assert f"caption, {path} minus {other}" in lines
    assert f"{path}, recaption minus caption" in lines
    assert any(line.endswith("(Wilcoxon signed-rank, matched-pairs rank-biserial correlation)") for line in lines)
    assert sum("minus" in line for line in lines) == 2  # the second set has no recaption


def test_what_cannot_be_evaluated_has_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, *_ = make_set(tmp_path / "scores.parquet", 3, 1, strength={"caption": 1.0})

    def error(*arguments: object) -> str:
        assert main([*map(str, arguments)]) == 1
        return capsys.readouterr().err

    nothing = write_frames(tmp_path / "nothing.parquet", {"a": None}, captions={"caption": ["x"]})
    assert "no row of " in error(nothing)
    empty = tmp_path / "empty.csv"
    empty.write_text("video,other\na,b\n")
    assert f"{empty} has none of the columns caption" in error(path, "--texts", empty)
    assert "has no column capton (it has caption)" in error(path, "--captions", "capton")
    said = error(path, "--captions", "caption,captoin")
    assert "no table and no list has the column captoin (it has caption" in said
    empty.write_text("video,caption\na,b\na,b\na,c\n")
    assert f"{empty} has 'a' twice, with different texts in the column caption" in error(path, "--texts", empty)
    empty.write_text("name,caption\na,b\n")
    assert "it has no column 'video'" in error(path, "--texts", empty)
    empty.write_text("video,caption,start_seconds\na,b,soon\n")
    assert "'soon' is not a time in seconds" in error(path, "--texts", empty)
    assert "must end in .csv, .jsonl or .parquet" in error(path, "--texts", tmp_path / "a.txt")
    assert "cannot read" in error(path, "--texts", tmp_path / "none.csv")
    answer_with_text(monkeypatch, lambda text: embedding_of(text, 3))
    assert "frames have embeddings of 16 values, texts of 3" in error(path)
    answer_with_text(monkeypatch, embed, encoder="other@1")
    assert f"the embeddings of {path} are by c@3, the server's would be by other@1" in error(path)
    answer_with_signals(monkeypatch)
    assert "the server has no model text_embedding" in error(path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "b", "c"], "3 tables were given; give one, or two to compare"),
        (["a", "a"], "the two tables are the same file"),
        (["a", "--sample", "5"], "--sample draws from the second table: give two"),
        (["a", "b", "--sample", "-1"], "--sample is -1, it must be above 0"),
        (["a", "b", "--sample", "0"], "--sample is 0, it must be above 0"),
        (["a", "a", "--sample"], "the two tables are the same file"),
        (["a", "--picture", "none/a.png"], "--picture none/a.png: there is no folder none"),
        (["a", "--captions", "x,x"], "--captions must be names of columns, each once"),
        (["a", "--picture", "a.bmp"], "--picture a.bmp must end in .png, .svg, .pdf"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert sentence in capsys.readouterr().err
