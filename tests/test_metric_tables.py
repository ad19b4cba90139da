"""Measures in the client: in a score, printed, and in tables of every format; no server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import Client, Metrics, ServerError
from client._commands import filter as filter_command
from client._commands import score as score_command
from client._learn.features import feature_names
from client._tables.row import METRIC_COLUMNS
from client._tables.table import SCHEMA, read_metadata, read_table
from tests.stub_signals import WEIGHTS, SignalsConnection, answer_with_signals

NAMES = tuple(METRIC_COLUMNS.values())
VALUES = np.array(
    [[41, 1234.5678, 0.1, 9.75, 1.25, np.nan, 2, 100.5, 3000.25, 0.125, np.nan, 0.0, 0.25, 0.5]], np.float32
)
MEASURES = {
    **{"frames": 41, "max_rgb_diff": 1234.56775, "mean_rgb_diff": 0.100000001, "max_velocity": 9.75},
    **{"mean_velocity": 1.25, "motion_vectors": None, "cuts": 2, "brightness": 100.5, "sharpness": 3000.25},
    **{"black_share": 0.125, "frozen_share": None, "letterbox": 0.0},
    **{"latent_mse": 0.25, "latent_cosine": 0.5},
}


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> SignalsConnection:
    made = answer_with_signals(monkeypatch, WEIGHTS | {"metrics": NAMES})
    made.outputs = made.outputs | {"METRICS": VALUES}
    return made


@pytest.fixture
def videos(tmp_path: Path) -> list[str]:
    """A video, and an empty file, which is a failure."""
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "bad.mp4").touch()
    return [str(tmp_path / name) for name in ("a.mp4", "bad.mp4")]


def score(videos: list[str], output: Path, *options: str) -> int:
    return score_command.main([*videos, "--output", str(output), "--in-flight", "1", *options])


def test_a_score_has_the_measures(connection: SignalsConnection) -> None:
    with Client() as client:
        found = client.score(b"a", signals="metrics")
        assert client.score(b"a", signals="metrics") == found
        assert "metrics" in client.weights().signals
        assert client.weights().metrics == NAMES
    assert connection.asked[0] == ("VIDEO_INFO", "HEADER_DURATION_SECONDS", "WEIGHTS", "DECODER", "METRICS")
    assert connection.parameters[0] == {"signals": "metrics"}
    assert (found.motion, found.camera, found.heads) == (None, None, None)
    assert vars(found.metrics) == MEASURES
    assert found.as_dict()["metrics"] == MEASURES
    assert found.as_dict()["weights"].keys() == {"motion", "camera", "precision"}


def test_measures_are_read_by_their_names(connection: SignalsConnection) -> None:
    """A newer server may have more, and an older one less."""
    connection.weights = WEIGHTS | {"metrics": ["cuts", "something_new", "frames"]}
    connection.outputs = connection.outputs | {"METRICS": np.array([[1, 2, 3]], np.float32)}
    with Client() as client:
        assert client.score(b"a", signals="metrics").metrics == Metrics(frames=3, cuts=1)
        connection.outputs = connection.outputs | {"METRICS": np.empty((0, 3), np.float32)}
        with pytest.raises(ServerError):
            client.score(b"a", signals="metrics")


def test_the_weights_of_the_autoencoder_are_told_with_its_measures(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    connection.weights = connection.weights | {"autoencoder": {"source": "e@5"}}
    with Client() as client:
        found = client.score(b"a", signals="metrics")
        assert client.weights().autoencoder == "e@5"
        others = client.score(b"a", signals="motion")
    assert found.as_dict()["weights"]["autoencoder"] == "e@5"
    assert "autoencoder" not in others.as_dict()["weights"]
    path = tmp_path / "scores.parquet"
    assert score(videos[:1], path, "--signals", "motion,metrics") == 0
    assert read_metadata(path).weights["autoencoder"] == "e@5"


def test_a_server_that_measures_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with_signals(monkeypatch, {name: WEIGHTS[name] for name in WEIGHTS if name != "metrics"})
    assert score_command.main(["a.mp4", "--signals", "motion,metrics"]) == 1
    assert "the server does not serve the signal metrics; it serves motion, camera, segments, frames, actions" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_table_has_a_column_for_each_measure(
    suffix: str, connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path = tmp_path / f"scores{suffix}"
    assert score(videos, path, "--signals", "motion,metrics") == 1
    table = read_table(path)
    assert table.column_names[: len(SCHEMA.names) + len(METRIC_COLUMNS)] == [*SCHEMA.names, *METRIC_COLUMNS]
    good, bad = table.to_pylist()
    expected = {column: MEASURES[name] for column, name in METRIC_COLUMNS.items()}
    for column, value in expected.items():
        assert good[column] == (None if value is None else pytest.approx(value, rel=1e-6)), column
    assert {type(good[column]) for column in ("measured_frames", "cuts")} == {int}
    assert good["frames"] == 84  # of the video
    assert bad["error"] == "the file is empty"
    assert [bad[column] for column in METRIC_COLUMNS] == [None] * len(METRIC_COLUMNS)
    assert read_metadata(path).signals == ("motion", "metrics")
    features = feature_names(table.schema, read_metadata(path))
    assert set(METRIC_COLUMNS) <= set(features)


def test_a_line_of_json_has_an_object(connection: SignalsConnection, videos: list[str], tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    score(videos[:1], path, "--signals", "motion,metrics")
    (line,) = map(json.loads, path.read_text().splitlines())
    assert line["metrics"] == MEASURES


def test_a_table_of_measures_alone_is_written_and_resumed(
    connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    for suffix in (".parquet", ".jsonl", ".csv"):
        path = tmp_path / f"scores{suffix}"
        assert score(videos[:1], path, "--signals", "metrics") == 0
        assert score(videos, path, "--signals", "metrics") == 1
        good, bad = read_table(path).to_pylist()
        assert (good["cuts"], good["error"], bad["cuts"]) == (2, None, None)
    assert connection.videos == [b"a"] * 3


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_filter_keeps_the_measures_in_its_lists(
    suffix: str, connection: SignalsConnection, videos: list[str], tmp_path: Path
) -> None:
    path, kept, lines = tmp_path / f"scores{suffix}", tmp_path / "kept.parquet", tmp_path / "kept.jsonl"
    score(videos, path, "--signals", "motion,camera,metrics")
    for output in (kept, lines):
        assert filter_command.main([str(path), "--drop", "static", "--kept", str(output)]) == 0
    (row,) = read_table(kept).to_pylist()
    assert row["max_rgb_diff"] == pytest.approx(1234.5678, rel=1e-6)
    (line,) = map(json.loads, lines.read_text().splitlines())
    assert line["metrics"] == MEASURES


def test_a_terminal_shows_the_measures(
    connection: SignalsConnection, videos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_command.main([videos[0], "--signals", "metrics", "--format", "table"]) == 0
    shown: dict[str, Any] = {name: value for name, value in MEASURES.items() if value is not None}
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("  metrics   frames 41   max_rgb_diff 1235   ")
    assert [word for word in line.split() if word in MEASURES] == [*shown]
