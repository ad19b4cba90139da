"""`python -m bench.stripping` compares reading a video with and without stripping."""

from io import BytesIO
from pathlib import Path

import pytest

from bench.stripping import measure, repeated
from fixtures.hostile import seed
from fixtures.stripped import video_of
from video.container import open_video, read_frame_table

pytestmark = pytest.mark.heavy

FEW = {"max_frames": 1.0, "max_clips": 1.0}


def test_a_video_is_measured_both_ways() -> None:
    result = measure("mpeg4", video_of("mpeg4"), FEW, plan_rounds=1, decode_rounds=1)
    assert 20 < result.kept_packets < 60
    assert result.packets == 100
    assert 0 < result.kept_share_of_bytes < 1
    assert min(result.plan.wall, result.plan_and_strip.wall, result.decode.wall, result.decode_stripped.wall) > 0
    assert result.row().startswith("mpeg4 ")


def test_a_video_that_cannot_be_stripped_is_not_measured() -> None:
    with pytest.raises(ValueError, match="theora cannot be stripped"):
        measure("theora", seed("ogv theora"), FEW, plan_rounds=1, decode_rounds=1)


def test_a_video_is_repeated_without_encoding(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(video_of("x264"))
    with open_video(BytesIO(repeated(path, 3))) as (container, stream):
        table = read_frame_table(container, stream)
    assert table.info.frames == 300
    assert table.timestamps[-1] == pytest.approx(2 * 10 + 3.96)
