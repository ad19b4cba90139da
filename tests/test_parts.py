"""Parts of videos: what their times count from on the command line, in tables, in journals and in the server."""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import Client, InvalidRequest, Score
from client._commands import filter as filter_command
from client._commands import score as score_command
from client._commands import summary as summary_command
from client._report.previews import segment_of
from client._runs.part_times import FIRST_FRAME, TIMESTAMPS
from client._runs.table_run import journal_of
from client._sdk.parameters import given
from client._tables.journal import Journal, Terms
from client._tables.table import read_table
from fixtures.synthetic import encode
from server import Server
from tests.test_client import score as run_score
from tests.test_table import SCORE, WEIGHTS
from video import Parameters, sample
from video.container import open_video, read_frame_table

SMALL: dict[str, Any] = {"width": 64, "height": 48, "options": {"preset": "ultrafast", "g": "25"}}


class FakeClient:
    """Remembers the requests; videos whose name has `bad` in it fail."""

    requests: list[tuple[str, dict[str, Any]]]

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> "FakeClient":
        return self

    def __exit__(self, *_: object) -> None: ...

    def weights(self) -> Any:
        return WEIGHTS

    def score(self, path: str, **parameters: Any) -> Score:
        self.requests.append((Path(path).name, given(parameters)))  # type: ignore[arg-type]
        if "bad" in path:
            raise InvalidRequest("the file is empty", reason="empty")
        return SCORE


Run = Callable[..., list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command `score`; returns the requests: name and parameters of each video."""
    monkeypatch.setattr(score_command, "Client", FakeClient)

    def run(*arguments: object, status: int = 0) -> list[tuple[str, dict[str, Any]]]:
        FakeClient.requests = []
        assert score_command.main(["--in-flight", "1", *map(str, arguments)]) == status
        return FakeClient.requests

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {}),
        (("--timestamps",), {}),
        (("--duration", 2), {"end_seconds": 2, "from_first_frame": 1}),
        (("--start", 3), {"start_seconds": 3, "from_first_frame": 1}),
        (("--start", 3, "--duration", 2), {"start_seconds": 3, "end_seconds": 5, "from_first_frame": 1}),
        (("--start", 3, "--end", 4, "--timestamps"), {"start_seconds": 3, "end_seconds": 4}),
        (("--start", 3, "--duration", 2, "--timestamps"), {"start_seconds": 3, "end_seconds": 5}),
        (("--fps", 8), {"fps": 8}),
    ],
)
def test_times_count_from_the_first_frame_unless_timestamps_are_wanted(
    arguments: tuple[object, ...], expected: dict[str, float], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("a.mp4", *arguments) == [("a.mp4", expected)]
    assert json.loads(capsys.readouterr().out).get("parameters", {}) == expected


def test_a_duration_of_timestamps_needs_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        score_command.main(["a.mp4", "--timestamps", "--duration", "2"])
    assert stopped.value.code == 2
    assert "--duration with --timestamps needs --start" in capsys.readouterr().err


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "parts.csv"
    with path.open("w", newline="") as file:
        names = ("path", "start_seconds", "end_seconds")
        csv.writer(file).writerows([names, ("a.mp4", "0", "2"), ("bad.mp4", "2", ""), ("c.mp4", "", "")])
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_manifests_times_do_the_same_and_the_table_says_so(
    suffix: str, manifest: Path, tmp_path: Path, run: Run
) -> None:
    output, other = tmp_path / f"scores{suffix}", tmp_path / f"timestamps{suffix}"
    assert run("--manifest", manifest, "--output", output, status=1) == [
        ("a.mp4", {"start_seconds": 0, "end_seconds": 2, "from_first_frame": 1}),
        ("bad.mp4", {"start_seconds": 2, "from_first_frame": 1}),
        ("c.mp4", {}),
    ]
    assert read_table(output).column("from_first_frame").to_pylist() == [1, 1, None]
    requests = run("--manifest", manifest, "--output", other, "--timestamps", status=1)
    assert [parameters for _, parameters in requests] == [
        {"start_seconds": 0, "end_seconds": 2},
        {"start_seconds": 2},
        {},
    ]
    assert read_table(other).column("from_first_frame").to_pylist() == [None, None, None]
    # Failures are tried again as they were tried first.
    assert run("--output", output, "--retry-failed", status=1) == [
        ("bad.mp4", {"start_seconds": 2, "from_first_frame": 1})
    ]


def test_a_list_and_a_summary_of_parts_say_what_they_count_from(
    manifest: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output, kept = tmp_path / "scores.parquet", tmp_path / "kept.jsonl"
    run("--manifest", manifest, "--output", output, status=1)
    assert filter_command.main([str(output), "--drop", "chaotic", "--kept", str(kept)]) == 0
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert rows[0]["parameters"] == {"start_seconds": 0, "end_seconds": 2, "from_first_frame": 1}
    assert "parameters" not in rows[1]
    assert read_table(kept).column("from_first_frame").to_pylist() == [1, None]
    assert [row["info"]["header_duration_seconds"] for row in rows] == [3600.0] * 2
    capsys.readouterr()
    assert summary_command.main([str(output), "--per-video"]) == 0
    assert [json.loads(line).get("from_first_frame") for line in capsys.readouterr().out.splitlines()] == [1, 1, None]


def test_what_times_count_from_cannot_change_within_a_table(
    manifest: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.csv"
    run("--manifest", manifest, "--output", output, status=1)
    assert run("--manifest", manifest, "--output", output, "--timestamps", status=2) == []
    assert f'was begun with times "{FIRST_FRAME}", now they are "{TIMESTAMPS}"' in capsys.readouterr().err


def make_older(output: Path) -> None:
    """Make the journal of `output` one from before `--timestamps` existed."""
    with closing(sqlite3.connect(journal_of(output))) as database:
        (terms,) = database.execute("SELECT value FROM facts WHERE name = 'terms'").fetchone()
        older = {name: value for name, value in json.loads(terms).items() if name != "times"}
        database.execute("UPDATE facts SET value = ? WHERE name = 'terms'", (json.dumps(older),))
        database.execute("DROP TABLE places")
        database.execute("PRAGMA user_version = 1")
        database.commit()


@pytest.mark.parametrize("wanted", ["manifest", "command line"])
def test_a_table_of_parts_that_an_older_version_began_keeps_timestamps(
    wanted: str, manifest: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.jsonl"
    arguments = ("--manifest", manifest) if wanted == "manifest" else ("bad.mp4", "--start", 2)
    run(*arguments, "--output", output, "--timestamps", status=1)
    make_older(output)
    capsys.readouterr()
    for _ in range(2):
        assert run(*arguments, "--output", output, "--retry-failed", status=1) == [("bad.mp4", {"start_seconds": 2})]
        assert "the times of parts are timestamps: this run keeps that, as with --timestamps" in capsys.readouterr().err
    run(*arguments, "--output", output, "--retry-failed", "--timestamps", status=1)
    assert "NOTE" not in capsys.readouterr().err
    assert "from_first_frame" not in output.read_text()


def test_a_table_of_whole_videos_that_an_older_version_began_takes_parts_as_a_new_one_does(
    manifest: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.jsonl"
    run("whole.mp4", "--output", output)
    make_older(output)
    for _ in range(2):
        run("--manifest", manifest, "--output", output, status=1)
    assert "NOTE" not in capsys.readouterr().err
    assert read_table(output).column("from_first_frame").to_pylist() == [None, 1, 1, None]
    with closing(Journal(journal_of(output))) as journal:
        assert journal.terms == Terms(
            {"motion": "a@1", "camera": "b@2", "precision": "f32"}, WEIGHTS.labels, {}, FIRST_FRAME
        )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ((None, 2.0, 1), (600.0, 602.0)),
        ((1.0, 3.0, 1), (600.0, 602.0)),  # the first clip starts at the part's first frame
        ((600.0, 602.0, None), (600.0, 602.0)),
        ((None, None, None), (602.0, 606.0)),
    ],
)
def test_a_preview_shows_the_part_that_was_scored(
    part: tuple[float | None, float | None, int | None], expected: tuple[float, float]
) -> None:
    row = dict(zip(("start_seconds", "end_seconds", "from_first_frame"), part, strict=True))
    segment = segment_of(row | {"duration_seconds": 8.0, "clips": [{"start_seconds": 600.0}]}, Path("a.mkv"))
    assert segment is not None
    assert (segment.start_seconds, segment.end_seconds) == expected


@pytest.mark.parametrize(
    ("container", "pts", "first"),
    [
        ("mp4", 0, 0.0),
        ("mp4", 36, 1.44),
        ("mov", 7, 0.28),
        ("matroska", 15_000, 600.0),
        ("matroska", -50, 0.0),  # FFmpeg reads no negative timestamps from it
        ("mov", -50, 0.0),  # its edit list hides what is before 0
    ],
)
def test_the_first_two_seconds_are_those_whatever_a_stream_starts_at(container: str, pts: int, first: float) -> None:
    keep = {"avoid_negative_ts": "disabled"} if pts < 0 else {}
    video = encode(200, container=container, pts=list(range(pts, pts + 200)), container_options=keep, **SMALL)
    with open_video(BytesIO(video)) as (opened, stream):
        table = read_frame_table(opened, stream)
    assert table.timestamps[0] == pytest.approx(first, abs=1e-3)
    part = sample(table.timestamps, table.info.duration_seconds, Parameters(end_seconds=2.0, from_first_frame=1))
    assert (part.frame_indices[0], part.frame_indices[-1]) == (0, 49)
    assert len(part.motion_order) == 16
    np.testing.assert_allclose(part.clip_seconds, [[first, first + 2]], atol=1e-3)


def test_the_server_counts_from_the_first_frame_where_it_is_asked_to(
    server: Server, client: Client, tmp_path: Path
) -> None:
    late = tmp_path / "late.mkv"
    late.write_bytes(encode(200, container="matroska", pts=list(range(15_000, 15_200)), **SMALL))
    result = run_score("--url", server.url, late, "--duration", 2)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert [(clip["start_seconds"], clip["end_seconds"]) for clip in answer["camera"]] == [(600, 602)]
    counted = client.score(late, end_seconds=2, from_first_frame=True)
    assert counted == client.score(late, start_seconds=600, end_seconds=602)
    assert answer["motion"] == vars(counted.motion)
    with pytest.raises(InvalidRequest, match=r"no frame lies between .* from 600 to 607.96 s"):
        client.score(late, end_seconds=2)
