"""Verdicts: presets that need the measures of a table, in every command that knows presets."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from client._commands.filter import filter_table
from client._commands.filter import main as filter_main
from client._commands.preset_arguments import add_limit_arguments, add_preset_arguments, presets_from
from client._commands.report import main as report_main
from client._commands.summary import main as summary_main
from client._tables.presets import PRESETS
from client._tables.quantities import QUANTITIES, columns_of, cutoffs_of, values_of
from client._tables.table import Metadata, read_batches, read_metadata, read_table
from client._tables.verdicts import ALL_PRESETS, VERDICTS
from fixtures.browser import Browser
from fixtures.score_tables import METADATA, write_scores
from tests.test_counting import SCRIPT, node, page_data

__all__ = ["node"]  # a fixture

ZOOM, DOLLY = [(0.0, 2.0, ["zoom_in"])], [(0.0, 2.0, ["dolly_in"])]
ORDINARY = {
    **{"measured_frames": 12, "max_rgb_diff": 900.0, "mean_rgb_diff": 400.0, "max_velocity": 6.0, "mean_velocity": 4.0},
    **{"motion_vectors": None, "cuts": 0, "brightness": 110.0, "sharpness": 500.0},
    **{"black_share": 0.0, "frozen_share": 0.0, "letterbox": 0.0},
}
AGAIN = (
    "score the videos with metrics among the signals, into another table: video-motion score VIDEOS --signals "
    "motion,camera,metrics --output FILE"
)
NEED_MEASURES = f"it has no measures: {AGAIN}"


def changed(**measures: float | None) -> dict[str, float | None]:
    return ORDINARY | measures


def cutoff(name: str, score: str) -> float:
    return next(limit.cutoff for limit in VERDICTS[name].limits if limit.score == score)


def told(path: Path, presets: dict[str, Any] = VERDICTS) -> list[list[str]]:
    """For each row of a table, the presets that take it."""
    metadata = read_metadata(path)
    rows: list[list[str]] = []
    for batch in read_batches(path, metadata, columns=columns_of(presets.values())):
        values = values_of(batch, metadata, presets.values())
        taken = {name: preset.takes(values) for name, preset in presets.items()}
        rows += [[name for name, mask in taken.items() if mask[index]] for index in range(batch.num_rows)]
    return rows


MOVING, STILL, BUSY = (1.5, 0.1, 0.2), (0.1, 0.1, 0.2), (1.5, 1.5, 0.2)
ROWS: list[
    tuple[tuple[float, float, float], list[tuple[float, float, list[str]]], dict[str, float | None], list[str]]
] = [
    (MOVING, ZOOM, changed(), ["zoomed_still", "camera_only"]),
    (MOVING, DOLLY, changed(), ["camera_only"]),
    (BUSY, ZOOM, changed(), []),
    (STILL, ZOOM, changed(), []),
    (MOVING, [], changed(), ["camera_only"]),  # without clips nobody knows which move it is
    (BUSY, ZOOM, changed(cuts=1), ["multi_shot"]),
    (BUSY, ZOOM, changed(letterbox=0.25), ["letterboxed"]),
    (BUSY, ZOOM, changed(letterbox=None, black_share=1.0), ["black"]),
    (STILL, ZOOM, changed(frozen_share=1.0, mean_rgb_diff=0.0), ["frozen"]),
    (BUSY, ZOOM, changed(frozen_share=None, mean_rgb_diff=None), []),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row of each kind, and a failed one at the end."""
    path = tmp_path_factory.mktemp("verdicts") / "scores.parquet"
    return write_scores(
        path,
        [*(scores for scores, *_ in ROWS), "the file is empty"],
        clips=[*(clips for _, clips, *_ in ROWS), []],
        measures=[*(measures for _, _, measures, _ in ROWS), {}],
    )


@pytest.fixture
def without(tmp_path: Path) -> Path:
    return write_scores(tmp_path / "without.parquet", [MOVING, STILL])


def run(capsys: pytest.CaptureFixture[str], command: Any, *arguments: object) -> tuple[int, str, str]:
    status = command([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def test_verdicts_take_what_their_cutoffs_say(table: Path) -> None:
    assert told(table)[:-1] == [verdicts for *_, verdicts in ROWS]
    assert {name for row in told(table) for name in row} == {*VERDICTS} - {"flicker"}
    assert told(table)[-1] == []


@pytest.mark.parametrize(
    ("name", "score"), [(name, limit.score) for name, preset in VERDICTS.items() for limit in preset.limits]
)
def test_each_limit_decides_and_the_cutoff_itself_does_not_match(name: str, score: str) -> None:
    preset = VERDICTS[name]
    beyond = {limit.score: limit.cutoff + (-1 if limit.side == "below" else 1) for limit in preset.limits}
    at = np.float32(cutoff(name, score))
    around = [np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.float32(np.inf)), np.float32(np.nan)]
    rows = {key: np.full(4, value, np.float32) for key, value in beyond.items()} | {score: np.array(around)}
    below = next(limit.side for limit in preset.limits if limit.score == score) == "below"
    assert preset.takes(rows).tolist() == [below, False, not below, False]


def test_presets_of_the_scores_are_as_they_were() -> None:
    assert {name: str(preset) for name, preset in PRESETS.items()} == {
        "static": "camera < 0.5 and object < 0.5 and dynamics < 1",
        "chaotic": "camera > 2.5 and dynamics > 2.5",
        "slideshow": "object < 0.5 and dynamics > 1",
    }
    assert [*ALL_PRESETS] == [*PRESETS, *VERDICTS]
    assert [*VERDICTS] == [
        *("zoomed_still", "camera_only", "flicker", "black", "frozen", "letterboxed", "multi_shot"),
    ]
    named = {limit.score for preset in VERDICTS.values() for limit in preset.limits}
    assert named <= {"camera", "object", "dynamics", *QUANTITIES}


def test_moves_are_the_mean_over_the_clips_of_the_likeliest(tmp_path: Path) -> None:
    clips = [[(0.0, 2.0, ["dolly_in", "arc_left"]), (2.0, 4.0, ["zoom_in"])], []]
    path = write_scores(tmp_path / "s.parquet", [MOVING, MOVING], clips=clips)
    metadata = read_metadata(path)
    (batch,) = read_batches(path, metadata)
    for name in ("depth_moves", "plane_moves"):
        mean, none = QUANTITIES[name].values(batch, metadata)
        assert mean == pytest.approx((0.9 + 0.01) / 2)  # what write_scores gives labels that a clip has, or lacks
        assert np.isnan(none)


def test_filter_drops_by_verdicts_in_every_format(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--drop", "zoomed_still", "--drop", "black", "--multi-shot", "cuts=0.9"]
    dropped, kept, lines = (tmp_path / name for name in ("dropped.parquet", "kept.txt", "kept.jsonl"))
    status, out, _ = run(capsys, filter_main, table, *arguments, "--dropped", dropped, "--kept", kept)
    counts = json.loads(out)
    assert status == 0
    assert (counts["videos"], counts["dropped"], counts["failed"]) == (11, 3, 1)
    assert counts["dropped_by"] == {"zoomed_still": 1, "black": 1, "multi_shot": 1}
    assert counts["presets"]["multi_shot"] == {"cuts": 0.9}
    rows = read_table(dropped)
    assert rows["letterbox"].to_pylist() == [0.0, 0.0, None]  # measures stay in lists of whole rows
    assert len(kept.read_text().splitlines()) == 7
    # The rows as JSON lines are the same table.
    assert run(capsys, filter_main, table, "--drop", "black", "--black", "black_share=1", "--kept", lines)[0] == 0
    again = json.loads(run(capsys, filter_main, lines, *arguments)[1])
    assert again["dropped_by"] == counts["dropped_by"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_column_names_all_presets_that_match(
    suffix: str, table: Path, without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = {what: tmp_path / f"{what}{suffix}" for what in ("kept", "dropped", "failed")}
    arguments = [f"--{what}={path}" for what, path in lists.items()]
    assert run(capsys, filter_main, table, "--verdicts", "--drop", "frozen", *arguments)[0] == 0

    def verdicts(path: Path) -> list[list[str] | None]:
        if suffix == ".jsonl":
            return [json.loads(line)["verdicts"] for line in path.read_text().splitlines()]
        return list(parquet.read_table(path)["verdicts"].to_pylist())

    every = told(table, ALL_PRESETS)[:-1]
    assert verdicts(lists["dropped"]) == [["static", "frozen"]] == [every[8]]
    assert verdicts(lists["kept"]) == [names for names in every if "frozen" not in names]
    if suffix == ".parquet":
        assert verdicts(lists["failed"]) == [None]
    # Alone, and of a table that tells less; the list is a table again.
    status, _, err = run(capsys, filter_main, without, "--verdicts", f"--kept={lists['kept']}", "--phrases")
    assert (status, err) == (0, f"NOTE: {without} does not tell {', '.join(VERDICTS)}, because {NEED_MEASURES}\n")
    assert verdicts(lists["kept"]) == [[], ["static"]]
    assert read_table(lists["kept"]).num_rows == 2
    with pytest.raises(SystemExit):
        filter_main([str(table), "--verdicts", "--kept", "kept.txt"])
    assert "--verdicts adds columns to lists: write one that is .jsonl or .parquet" in capsys.readouterr().err


def test_the_page_of_measures_has_the_limits() -> None:
    text = (Path(__file__).parent.parent / "docs" / "measures.md").read_text().partition("## Verdicts")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    assert dict(rows[: len(VERDICTS)]) == {name: str(preset) for name, preset in VERDICTS.items()}


def test_a_missing_measure_is_no_failure(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A video without bars to measure, because every frame is black, still has scores."""
    counts = json.loads(run(capsys, filter_main, table, "--drop", "letterboxed")[1])
    assert (counts["failed"], counts["dropped"], counts["kept"]) == (1, 1, 9)


def test_a_person_reads_the_counts_in_line(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, filter_main, table, "--drop", "zoomed_still", "--drop", "black", "--format", "table")[1]
    assert [line[:17] for line in out.splitlines()] == [
        *("videos         11", "failed          1", "kept            8", "dropped         2"),
        *("  zoomed_still  1", "  black         1"),
    ]


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.parametrize("command", ["filter", "report", "report cut-offs"])
def test_a_table_without_measures_says_what_it_lacks(
    name: str, command: str, without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = VERDICTS[name].limits[0]
    asked = ["--drop", name]
    if command == "report cut-offs":
        asked = [VERDICTS[name].flag, f"{limit.score}=0.25"]
    output = tmp_path / "written"
    if command == "filter":
        status, out, err = run(capsys, filter_main, without, *asked, "--kept", output.with_suffix(".txt"))
    else:
        status, out, err = run(capsys, report_main, without, *asked, "--output", output.with_suffix(".html"))
    assert (status, out) == (1, "")
    assert err == f"{without} does not tell {name}, because {NEED_MEASURES}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["without.parquet"]


def test_an_older_table_names_the_measure_that_it_lacks(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older.parquet"
    parquet.write_table(parquet.read_table(table).drop_columns(["letterbox"]), older)
    assert run(capsys, filter_main, older, "--drop", "black")[0] == 0
    status, _, err = run(capsys, filter_main, older, "--drop", "letterboxed")
    sentence = f"because it has no letterbox: {AGAIN}"
    assert (status, err) == (1, f"{older} does not tell letterboxed, {sentence}\n")


def test_camera_labels_that_are_not_there_are_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Metadata(METADATA.weights, ("left", "right"), {})
    path = write_scores(tmp_path / "s.parquet", [MOVING], clips=[[]], measures=[ORDINARY], metadata=other)
    assert json.loads(run(capsys, filter_main, path, "--drop", "camera_only")[1])["dropped"] == 1
    status, _, err = run(capsys, filter_main, path, "--drop", "zoomed_still")
    assert status == 1
    assert "zoomed_still, because its camera labels do not include pan_left, pan_right, " in err


def test_cutoffs_of_verdicts_are_adjusted_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_preset_arguments(parser)
    add_limit_arguments(parser)
    options = parser.parse_args(["--zoomed-still", "depth_moves=0.3,camera=0.7", "--multi-shot", "cuts=50000"])
    presets = presets_from(options)
    assert "camera > 0.7" in str(presets["zoomed_still"])
    assert "depth_moves < 0.3" in str(presets["zoomed_still"])
    assert str(presets["multi_shot"]) == "cuts > 50000"
    for arguments, message in (
        (["--black", "brightness=3"], "'brightness=3' is not SCORE=CUTOFF; the scores of black: black_share"),
        (["--frozen", "frozen_share=1.5"], "the cut-off 1.5 for frozen_share is not between 0 and 1"),
        (["--below", "letterbox=-0.1"], "the cut-off -0.1 for letterbox is not between 0 and 1"),
        (["--above", "=1"], "'=1' is not NAME=CUTOFF, such as sharpness=40"),
        (["--multi-shot", "cuts=1e6"], "the cut-off 1e6 for cuts is not between -100000 and 100000"),
    ):
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert message in capsys.readouterr().err


def test_summary_has_the_share_of_each_verdict(table: Path, without: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(run(capsys, summary_main, table, without)[1])
    measured, other = content["sets"]
    assert [*measured["preset_share"]] == [*ALL_PRESETS]
    assert measured["preset_share"]["camera_only"] == pytest.approx(0.3)
    assert measured["preset_share"]["multi_shot"] == pytest.approx(0.1)
    assert measured["presets_not_told"] == {}
    assert [*other["preset_share"]] == [*PRESETS]
    assert other["presets_not_told"] == dict.fromkeys(VERDICTS, NEED_MEASURES)
    assert [*content["difference"]["preset_share"]] == [*PRESETS]  # nothing is compared with what is not known
    lines = run(capsys, summary_main, table, without, "--format", "table")[1].splitlines()
    assert "  multi_shot             10.0 %        -" in lines
    assert f"  not told: {', '.join(VERDICTS)}: {without}: {NEED_MEASURES}" in lines


def random_measured(path: Path, rows: int, seed: int) -> Path:
    """Random rows near the cut-offs of verdicts, some on them; some measures are missing."""
    random = np.random.default_rng(seed)
    cutoffs: dict[str, list[float]] = {}
    for preset in ALL_PRESETS.values():
        for limit in preset.limits:
            cutoffs.setdefault(limit.score, []).append(limit.cutoff)

    def value(name: str) -> float | None:
        at = float(random.choice(cutoffs.get(name, [1.0])))
        if name not in ("cuts", "measured_frames") and random.random() < 0.1:
            return None
        if name in ("cuts", "measured_frames"):
            return int(random.integers(0, 3))
        return float(np.float32(at * random.choice([0.5, 1.0, 1.5])))

    labels = ["zoom_in", "dolly_in", "static", "pan_left"]
    scores: list[tuple[float, float, float] | str] = []
    for index in range(rows):
        given = [
            float(np.float32(random.choice(cutoffs[name])) * random.choice([0.6, 1, 1.4]))
            for name in ("camera", "object", "dynamics")
        ]
        scores.append("the file is empty" if index % 40 == 39 else (given[0], given[1], given[2]))
    return write_scores(
        path,
        scores,
        clips=[[(0.0, 2.0, [str(random.choice(labels))])] * int(random.integers(0, 3)) for _ in range(rows)],
        measures=[{name: value(name) for name in ORDINARY} for _ in range(rows)],
    )


@pytest.mark.heavy
def test_the_page_counts_verdicts_as_the_filter_does(node: str, tmp_path: Path) -> None:
    table = random_measured(tmp_path / "s.parquet", 400, 3)
    page = tmp_path / "r.html"
    assert report_main([str(table), "--output", str(page), "--examples", "0"]) == 0
    random = np.random.default_rng(1)
    choices: list[dict[str, dict[str, float]]] = [{name: {} for name in ALL_PRESETS}]
    for name in VERDICTS:
        choices.append({name: {}})
    for _ in range(12):
        names = [name for name in ALL_PRESETS if random.random() < 0.4] or ["black"]
        choices.append(
            {
                name: {
                    limit.score: min(
                        cutoffs_of(limit.score, 1000.0)[1],
                        round(limit.cutoff * float(random.choice([0.5, 1, 1.25])), 3),
                    )
                    for limit in ALL_PRESETS[name].limits
                }
                for name in names
            }
        )
    given = json.dumps([{**page_data(page), "choices": choices}])
    result = subprocess.run([node, SCRIPT], input=given, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    (pages,) = json.loads(result.stdout)
    metadata = read_metadata(table)
    partly = set()
    for choice, shown in zip(choices, pages, strict=True):
        presets = {name: ALL_PRESETS[name].adjusted(cutoffs) for name, cutoffs in choice.items()}
        counts, _ = filter_table(table, metadata, presets, {})
        assert (shown["kept"], shown["dropped"]) == (counts.kept, counts.dropped)
        assert counts.dropped_by is not None
        assert {name: shown["matches"][name] for name in presets} == counts.dropped_by
        partly |= {name for name, number in counts.dropped_by.items() if 0 < number < 390}
        words = shlex.split(shown["filterCommand"])[2:]
        assert filter_main([str(tmp_path / word) if word.endswith(".txt") else word for word in words]) == 0
        assert len((tmp_path / "kept.txt").read_text().splitlines()) == counts.kept
        # Missing measures are in no bin.
        column = read_table(table)["letterbox"].to_pylist()
        assert sum(shown["total"]["letterbox"]) == sum(value is not None for value in column)
        assert sum(shown["keptInBin"]["letterbox"]) <= counts.kept
    assert partly == {*ALL_PRESETS}


@pytest.mark.heavy
def test_the_page_shows_what_the_table_tells(table: Path, without: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"

    def content(*arguments: object) -> dict[str, Any]:
        assert report_main([*map(str, arguments), "--output", str(page)]) == 0
        shown: dict[str, Any] = page_data(page)["content"]
        return shown

    shown = content(table)
    assert [preset["name"] for preset in shown["presets"]] == [*ALL_PRESETS]
    assert [preset["name"] for preset in shown["presets"] if preset["on"]] == [*PRESETS]
    assert {each["preset"] for each in shown["gallery"]} == {*PRESETS}
    assert shown["presetsNotTold"] == {}
    assert shown["scores"] == ["camera", "object", "dynamics", *shown["measures"]]
    named = content(table, "--drop", "black", "--drop", "letterboxed")
    assert [preset["name"] for preset in named["presets"] if preset["on"]] == ["black", "letterboxed"]
    assert {each["preset"] for each in named["gallery"]} == {*PRESETS, "black", "letterboxed"}
    (nearest,) = [each for each in named["gallery"] if each["preset"] == "letterboxed"]
    assert [example["index"] for example in nearest["matched"]] == [6]
    assert 7 not in [example["index"] for example in nearest["unmatched"]]  # it has no bars to be near
    moved = content(table, "--black", "black_share=0.5")
    assert [preset["name"] for preset in moved["presets"] if preset["on"]] == [*PRESETS, "black"]
    plain = content(without)
    assert [preset["name"] for preset in plain["presets"]] == [*PRESETS]
    assert plain["presetsNotTold"] == dict.fromkeys(VERDICTS, NEED_MEASURES)
    assert plain["measures"] == {}


@pytest.mark.heavy
@pytest.mark.parametrize("width", [1280, pytest.param(400, marks=pytest.mark.slow)])
def test_verdicts_are_switched_and_their_limits_moved(
    width: int, window: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = random_measured(tmp_path / "s.parquet", 200, 5)
    page = tmp_path / "r.html"
    assert report_main([str(table), "--output", str(page), "--examples", "1", "--drop", "flicker"]) == 0
    window.open(page, width=width)
    assert window.run("return document.documentElement.scrollWidth") == width
    assert window.run("return document.querySelectorAll('.preset').length") == len(ALL_PRESETS)

    def check() -> dict[str, Any]:
        words = shlex.split(window.find("#filter-command").text)[2:]
        capsys.readouterr()
        assert filter_main([str(tmp_path / word) if word.endswith(".txt") else word for word in words]) == 0
        counts: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (window.count("kept"), window.count("dropped")) == (counts["kept"], counts["dropped"])
        return counts

    assert [*check()["presets"]] == ["flicker"]
    window.click('input[role="switch"][data-preset="zoomed_still"]')
    assert [*check()["presets"]] == ["zoomed_still", "flicker"]
    field = window.find('input[type="number"][data-preset="zoomed_still"][data-score="camera"]')
    window.press(field, "0.2")
    assert check()["presets"]["zoomed_still"]["camera"] == 0.2
    assert "--zoomed-still camera=0.2" in window.find("#filter-command").text
    limit = VERDICTS["flicker"].limits[0]
    window.drag("flicker", limit.score, 25)
    assert check()["presets"]["flicker"][limit.score] > limit.cutoff
    assert window.errors() == []


@pytest.mark.heavy
@pytest.mark.slow
def test_a_page_of_a_table_without_measures_says_what_it_cannot_tell(
    window: Browser, without: Path, tmp_path: Path
) -> None:
    assert report_main([str(without), "--output", str(tmp_path / "r.html"), "--examples", "0"]) == 0
    window.open(tmp_path / "r.html", width=400)
    window.click("#presets-not-told-section summary")
    text = window.find("#presets-not-told").text
    assert text == f"{', '.join(VERDICTS)}: {NEED_MEASURES}."
    assert window.errors() == []


def test_any_number_of_a_table_can_be_a_limit(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dropped = tmp_path / "dropped.jsonl"
    limits = ("--above", "black_share=0.5", "--below", "width=1000", "--above", "camera_pan_left=0.5")
    status, out, err = run(capsys, filter_main, table, *limits, "--dropped", dropped)
    assert status == 0
    rows = read_table(table).to_pylist()
    scored = [row for row in rows if row["error"] is None]
    black = [row["video"] for row in scored if (row["black_share"] or 0) > 0.5]
    assert 0 < len(black) < len(scored)
    label = METADATA.labels.index("pan_left")
    clipped = [row for row in scored if row["clips"]]
    panning = [row for row in clipped if np.mean([clip["probabilities"][label] for clip in row["clips"]]) > 0.5]
    counts = json.loads(out)["dropped_by"]
    assert counts == {"width<1000": len(scored), "black_share>0.5": len(black), "camera_pan_left>0.5": len(panning)}
    found = [json.loads(line) for line in dropped.read_text().splitlines()]
    assert [row["video"] for row in found if "black_share>0.5" in row["dropped_by"]] == black
    for name in ("video", "none"):
        status, _, err = run(capsys, filter_main, table, "--above", f"{name}=1")
        assert (status, err) == (1, f"{table} does not tell {name}>1, because it has no column {name} of numbers\n")


def test_a_limit_may_be_any_count_of_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An hour has more than 100,000 frames, and float32 does not hold every count of days."""
    path = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)] * 3)
    table = parquet.read_table(path)
    frames = pa.array([100, 216_000, 2**24 + 1], pa.int64())
    parquet.write_table(table.set_column(table.column_names.index("frames"), "frames", frames), path)
    status, out, err = run(capsys, filter_main, path, "--above", "frames=150000", "--format", "json")
    assert (status, err) == (0, "")
    assert json.loads(out)["dropped"] == 2
