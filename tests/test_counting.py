"""What the report page counts, run in node, compared with the command `filter`. `tests/count_in_node.js` runs it."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client._commands.filter import filter_table
from client._commands.filter import main as filter_main
from client._report.write import write_report
from client._tables.columns import is_failed, scores_of
from client._tables.presets import COLUMNS, PRESETS, Preset
from client._tables.table import Metadata, read_batches, read_metadata
from fixtures.score_tables import METADATA, write_scores

pytestmark = pytest.mark.heavy

SCRIPT = Path(__file__).with_name("count_in_node.js")
TABLES = 12
CHOICES = 8
ROWS = 300
Choice = dict[str, dict[str, float]]
"""The cut-offs of each preset that is on, by name and score."""


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node")
    if path is None and (os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER")):
        pytest.fail("node not found: apt-get install nodejs")
    if path is None:
        pytest.skip("node not found: apt-get install nodejs")
    return path


def count_in_node(node: str, pages: list[tuple[Path, list[Choice]]]) -> list[list[dict[str, Any]]]:
    """For each page and each choice of presets, the counts."""
    inputs = [{**page_data(page), "choices": choices} for page, choices in pages]
    result = subprocess.run([node, SCRIPT], input=json.dumps(inputs), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def page_data(page: Path) -> dict[str, Any]:
    """What a page holds for its scripts."""
    elements = dict(re.findall(r'<script type="application/[a-z-]+" id="([a-z_-]+)">(.*?)</script>', page.read_text()))
    return {"content": json.loads(elements.pop("content")), "arrays": elements}


def random_table(path: Path, random: np.random.Generator) -> Path:
    """Scores equal to, close to and far from possible cut-offs, some outside 0 to 3; some failed rows."""
    grid = np.float32(np.round(random.integers(-20, 320, (ROWS, 3)) / 100, 2))
    beside = np.nextafter(grid, np.float32(random.choice([-9, 9])))
    anywhere = random.uniform(-0.2, 3.2, (ROWS, 3)).astype(np.float32)
    kind = random.integers(0, 3, (ROWS, 3))
    scores = np.where(kind == 0, grid, np.where(kind == 1, beside, anywhere))
    labels = [f"label_{index}" for index in range(random.choice([1, 31, 32, 33, 70]))]
    clips = [
        [(0.0, 2.0, list(random.choice(labels, random.integers(0, min(4, len(labels)) + 1), replace=False)))] * 2
        for _ in range(ROWS)
    ]
    rows: list[tuple[float, float, float] | str] = [
        "the file is empty" if random.random() < 0.05 else (float(camera), float(of_objects), float(dynamics))
        for camera, of_objects, dynamics in scores
    ]
    return write_scores(path, rows, clips=clips, metadata=Metadata(METADATA.weights, tuple(labels), {}))


def random_choice(random: np.random.Generator) -> Choice:
    """Some presets, each with cut-offs that the scores may lie on."""
    names = [name for name in PRESETS if random.random() < 0.7] or ["static"]
    return {
        name: {limit.score: int(random.integers(-20, 320)) / 100 for limit in PRESETS[name].limits} for name in names
    }


def adjusted(choice: Choice) -> dict[str, Preset]:
    return {name: PRESETS[name].adjusted(cutoffs) for name, cutoffs in choice.items()}


def test_the_page_counts_what_the_filter_counts(node: str, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    tables = [random_table(tmp_path / f"{index}.parquet", random) for index in range(TABLES)]
    choices: list[list[Choice]] = [
        [{name: {} for name in PRESETS}, *(random_choice(random) for _ in range(CHOICES))] for _ in tables
    ]
    pages = []
    for table in tables:
        write_report(table, table.with_suffix(".html"), examples=0)
        pages.append(table.with_suffix(".html"))
    partly = 0
    results = count_in_node(node, list(zip(pages, choices, strict=True)))
    for table, tried, counted in zip(tables, choices, results, strict=True):
        metadata = read_metadata(table)
        for choice, page in zip(tried, counted, strict=True):
            presets = adjusted(choice)
            counts, _ = filter_table(table, metadata, presets, {})
            assert (page["kept"], page["dropped"]) == (counts.kept, counts.dropped)
            assert {name: page["matches"][name] for name in presets} == counts.dropped_by
            check_rows(table, presets, page)
            partly += 0 < counts.kept < ROWS
    assert partly > TABLES * CHOICES / 2  # choices that drop some videos and keep some


def check_rows(table: Path, presets: dict[str, Preset], page: dict[str, Any]) -> None:
    """Which row is dropped by which preset, and the labels of all rows and of the kept."""
    dropped_by: list[list[str]] = []
    labels = read_metadata(table).labels
    total, kept = dict.fromkeys(labels, 0), dict.fromkeys(labels, 0)
    for batch in read_batches(table):
        scores = scores_of(batch)
        taken = {name: preset.takes(scores) for name, preset in presets.items()}
        failed = is_failed(batch, scores)
        for index, row in enumerate(batch.to_pylist()):
            if failed[index]:
                continue
            names = [name for name in PRESETS if name in taken and taken[name][index]]
            dropped_by.append(names)
            for label in {label for clip in row["clips"] for label in clip["labels"]}:
                total[label] += 1
                kept[label] += not names
    assert page["droppedBy"] == dropped_by
    assert page["isDropped"] == [bool(names) for names in dropped_by]
    assert page["labelTotal"] == list(total.values())
    assert page["labelKept"] == list(kept.values())
    assert page["cells"] == len(dropped_by)
    assert page["keptInCells"] == dropped_by.count([])
    for score in COLUMNS:
        assert sum(page["total"][score]) == len(dropped_by)
        assert sum(page["keptInBin"][score]) == dropped_by.count([])


def test_a_score_that_prints_as_the_edge_of_a_bin_is_in_the_bin_to_its_right(node: str, tmp_path: Path) -> None:
    edges = [round(index * 0.05, 2) for index in range(60)]
    write_report(write_scores(tmp_path / "s.parquet", [(edge,) * 3 for edge in edges]), tmp_path / "r.html", examples=0)
    ((counts,),) = count_in_node(
        node, [(tmp_path / "r.html", [{"static": {"camera": 0.5, "object": 3, "dynamics": 3}}])]
    )
    assert counts["total"] == {score: [1] * 60 for score in COLUMNS}
    assert counts["keptInBin"] == {score: [0] * 10 + [1] * 50 for score in COLUMNS}


def test_scores_and_cutoffs_outside_0_to_3_widen_the_axis(node: str, tmp_path: Path) -> None:
    write_report(
        write_scores(tmp_path / "s.parquet", [(-0.55, 1.0, 4.2), (3.0, 3.0, 3.0)]),
        tmp_path / "r.html",
        presets=adjusted({"static": {"object": -1.5}}) | {"chaotic": PRESETS["chaotic"]},
        examples=0,
    )
    ((counts,),) = count_in_node(node, [(tmp_path / "r.html", [{"chaotic": {}}])])
    # From -0.6 to 3, from -1.5 to 3, from 0 to 4.2.
    assert {score: len(bins) for score, bins in counts["total"].items()} == {"camera": 72, "object": 90, "dynamics": 84}
    assert [bin for bin, number in enumerate(counts["total"]["camera"]) if number] == [1, 71]


def test_the_filter_runs_the_command_of_the_page(node: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[float, float, float] | str]
    rows = ["the file is empty", (0.1, 0.1, 0.1), (2.0, 2.0, 2.0), (0.2, 0.1, 1.5)]
    whole = write_scores(tmp_path / "whole.parquet", rows)
    parts = write_scores(tmp_path / "parts.parquet", rows, parts=[(1.0, 2.0)] * 4)
    scored = write_scores(tmp_path / "scored.parquet", rows[1:])
    for table in (whole, parts, scored):
        write_report(table, table.with_suffix(".html"), examples=0, filter_command="python -m client.filter")
    choices: list[Choice] = [{"static": {}, "slideshow": {"dynamics": 1.25}}, {}]
    pages = [(table.with_suffix(".html"), choices) for table in (whole, parts, scored)]
    commands = [[counts["filterCommand"] for counts in page] for page in count_in_node(node, pages)]
    lists = "--kept kept.{0} --dropped dropped.{0}"
    presets = "--drop static --drop slideshow --slideshow dynamics=1.25"
    nothing = "# no preset is on, so nothing is dropped"
    assert commands == [
        [f"python -m client.filter {whole} {presets} {lists.format('txt')} --failed failed.txt", nothing],
        [f"python -m client.filter {parts} {presets} {lists.format('jsonl')} --failed failed.jsonl", nothing],
        [f"python -m client.filter {scored} {presets} {lists.format('txt')}", nothing],
    ]
    words = shlex.split(commands[0][0])[3:]
    assert filter_main([str(tmp_path / word) if word.endswith(".txt") else word for word in words]) == 0
    assert json.loads(capsys.readouterr().out)["dropped"] == 2
    assert (tmp_path / "failed.txt").read_text() == "videos/0000000.mp4\tthe file is empty\n"
