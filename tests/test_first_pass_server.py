"""A first pass in front of a real server: what is skipped never arrives there."""

from pathlib import Path

import pytest

from client._commands import score as score_command
from client._tables.table import read_table
from fixtures.still import still_and_moving
from server import Server
from tests.metrics import risen, scrape


def test_only_what_moves_reaches_the_server(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, video in still_and_moving().items():
        (tmp_path / f"{name}.mp4").write_bytes(video)
    output = tmp_path / "scores.parquet"
    before = scrape(server)
    assert score_command.main([str(tmp_path), "--first-pass", "--output", str(output), "--url", server.url]) == 0
    rows = {Path(row["video"]).stem: row for row in read_table(output).to_pylist()}
    assert {name: row["skipped_by"] for name, row in rows.items() if row["skipped_by"]} == {
        "black": "black",
        "frozen": "frozen",
        "static": "static",
    }
    assert all(rows[name]["camera_movement_score"] is not None for name in ("pan", "late", "fade", "small"))
    arrived = risen("video_motion_videos_total", before, scrape(server))
    assert sum(count for labels, count in arrived.items() if "video_sampling" in labels) == 4
    assert "the first pass skipped 3 videos" in capsys.readouterr().err
