"""A learned filter in the report page: its score and threshold count as `filter --learned` does."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from selenium.webdriver.common.keys import Keys

from client._commands.filter import main as filter_main
from client._commands.report import main
from client._learn.features import feature_names, features_of
from client._learn.learned_filter import LearnedFilter, Origin
from client._tables.presets import PRESETS
from client._tables.table import Metadata, read_batches, read_metadata
from fixtures.browser import Browser
from fixtures.score_tables import METADATA, write_scores
from tests.test_counting import SCRIPT, node, page_data

__all__ = ["node"]  # a fixture

pytestmark = pytest.mark.heavy

ROWS = 400


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(4)
    rows: list[tuple[float, float, float] | str] = [
        "the file is empty" if index % 50 == 0 else (float(a), float(b), float(c))
        for index, (a, b, c) in enumerate(generator.uniform(0, 3, (ROWS, 3)))
    ]
    return write_scores(tmp_path_factory.mktemp("learned") / "s.parquet", rows)


@pytest.fixture(scope="module")
def learned(table: Path) -> Path:
    """A filter that wants what moves, and is never sure."""
    metadata = read_metadata(table)
    names = feature_names(metadata.schema(), metadata)
    features = np.concatenate([features_of(batch, metadata, names) for batch in read_batches(table, metadata)])
    camera = features[:, names.index("camera_movement_score")]
    matrix = xgboost.DMatrix(features, np.nan_to_num(camera) / 3, feature_names=names)
    booster = xgboost.train({"objective": "reg:logistic"}, matrix, 12)
    weights = {network: METADATA.weights[network] for network in ("motion", "camera")}
    path = table.with_name("the filter.json")
    LearnedFilter(booster, Origin(weights, METADATA.labels)).save(path)
    return path


def probabilities(learned: Path, table: Path) -> np.ndarray:
    metadata = read_metadata(table)
    said = [LearnedFilter.load(learned).probabilities(batch, metadata) for batch in read_batches(table, metadata)]
    return np.concatenate(said)


def filter_counts(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert words[:2] == ["video-motion", "filter"]
    capsys.readouterr()
    arguments = [str(folder / word) if word.endswith(".txt") else word for word in words[2:]]
    assert filter_main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_the_page_counts_what_the_filter_counts(
    node: str,
    table: Path,
    learned: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "r.html"
    assert main([str(table), "--output", str(page), "--examples", "0", "--learned", str(learned), "--at", "0.3"]) == 0
    said = probabilities(learned, table)
    on_a_row = float(said[7])  # a threshold that a row lies on keeps it
    published = {name: {limit.score: limit.cutoff for limit in preset.limits} for name, preset in PRESETS.items()}
    choices: list[dict[str, dict[str, float]]] = [
        {"learned": {"learned": at}, **presets}
        for at in (0.0, 0.3, 0.5, 0.62, on_a_row, 1.0)
        for presets in ({}, {"static": published["static"]}, published)
    ]
    choices.append({"chaotic": published["chaotic"]})
    given = json.dumps([{**page_data(page), "choices": choices}])
    result = subprocess.run([node, SCRIPT], input=given, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    (pages,) = json.loads(result.stdout)
    for choice, shown in zip(choices, pages, strict=True):
        counts = filter_counts(shlex.split(shown["filterCommand"]), tmp_path, capsys)
        assert (shown["kept"], shown["dropped"]) == (counts["kept"], counts["dropped"])
        assert {name: shown["matches"][name] for name in choice} == counts["dropped_by"]
        assert sum(shown["total"]["learned"]) == counts["videos"] - counts["failed"]
        assert sum(shown["keptInBin"]["learned"]) == counts["kept"]
        assert len(shown["total"]["learned"]) == 50  # from 0 to 1
    at_a_row = pages[12]
    assert at_a_row["matches"]["learned"] == int((said < said[7]).sum())
    assert f"--learned '{learned}' --at 0.62" in pages[9]["filterCommand"]
    assert "--at" not in pages[6]["filterCommand"]  # the default
    assert pages[7]["reportCommand"] == (
        f"video-motion report {table} --drop static --learned '{learned}' --output report.html"
    )


def test_a_page_without_a_filter_has_no_such_score(table: Path, tmp_path: Path) -> None:
    assert main([str(table), "--output", str(tmp_path / "r.html"), "--examples", "0"]) == 0
    data = page_data(tmp_path / "r.html")
    assert data["content"]["scores"] == ["camera", "object", "dynamics"]
    assert [preset["name"] for preset in data["content"]["presets"]] == [*PRESETS]
    assert data["content"]["learnedArgument"] is None


@pytest.mark.parametrize("width", [1280, pytest.param(400, marks=pytest.mark.slow)])
def test_the_threshold_is_dragged_and_typed(
    width: int, window: Browser, table: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "r.html"
    assert main([str(table), "--output", str(page), "--examples", "2", "--learned", str(learned)]) == 0
    window.open(page, width=width)
    assert window.run("return document.documentElement.scrollWidth") == width
    assert window.run("return document.querySelectorAll('.chart').length") == 4

    def check() -> dict[str, Any]:
        counts = filter_counts(shlex.split(window.find("#filter-command").text), tmp_path, capsys)
        assert (window.count("kept"), window.count("dropped")) == (counts["kept"], counts["dropped"])
        for name, number in counts["dropped_by"].items():
            assert window.count(name) == number
        return counts

    seen = [check()]
    assert list(seen[0]["dropped_by"]) == [*PRESETS, "learned"]
    window.drag("learned", "learned", 40)
    seen.append(check())
    window.press(window.thumb("learned", "learned"), Keys.PAGE_UP, Keys.ARROW_LEFT)
    seen.append(check())
    field = window.find('input[type="number"][data-preset="learned"]')
    window.press(field, "0.25")
    seen.append(check())
    window.press(field, "7")  # no probability: the last one stays
    assert check() == seen[-1]
    assert "--at 0.25" in window.find("#filter-command").text
    assert len({counts["dropped_by"]["learned"] for counts in seen}) == len(seen)
    window.click('input[role="switch"][data-preset="learned"]')
    window.wait_for_frame()
    assert "--learned" not in window.find("#filter-command").text
    # The examples are those nearest to the threshold that the page was written with.
    said = probabilities(learned, table)
    nearest = np.sort(said[said < 0.5])[-2:]
    side = "document.querySelector('.gallery-preset:last-child .side')"
    shown = window.run(f"return [...{side}.querySelectorAll('.is-compared dd')].map((score) => score.textContent)")
    assert sorted(float(text.lstrip("<")) for text in shown) == pytest.approx(nearest, abs=0.0006)
    assert window.errors() == []


def test_what_does_not_fit_is_refused(
    table: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "r.html"
    other = Metadata({"motion": "other@1", "camera": "made@2"}, METADATA.labels)
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)], metadata=other)
    assert main([str(scores), "--output", str(page), "--learned", str(learned)]) == 1
    assert capsys.readouterr().err.startswith("the filter was learned from scores of made@1 (motion), and ")
    (tmp_path / "no.json").write_text("{}")
    assert main([str(table), "--output", str(page), "--learned", str(tmp_path / "no.json")]) == 1
    assert "is not a learned filter" in capsys.readouterr().err
    assert not page.exists()
    for arguments, sentence in (
        (["--at", "0.4"], "--at is for --learned FILE"),
        (["--learned", str(learned), "--at", "1.5"], "1.5 is not between 0 and 1"),
        (["--learned", str(learned), "--output", str(learned)], "--output would overwrite the filter"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(table), *arguments])
        assert stopped.value.code == 2
        assert sentence in capsys.readouterr().err
