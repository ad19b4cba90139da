"""`python -m bench.routing` compares planning a video with and without routing and stripping."""

import pytest

from bench.routing import measure
from fixtures.stripped import video_of
from fixtures.synthetic import encode
from video.decoder import Decoder

pytestmark = pytest.mark.heavy


def test_a_video_for_nvdec_is_stripped_and_measured_both_ways() -> None:
    video = encode(40, width=160, height=160)
    result = measure("h264", video, rounds=2)
    assert result.choice.decoder == Decoder.NVDEC
    assert result.frames == 40
    assert min(result.without.cpu, result.without.wall, result.with_both.cpu, result.with_both.wall) > 0
    assert result.row().split()[:4] == ["h264", "0.0", "40", "nvdec"]


def test_a_video_for_ffmpeg_is_measured_too() -> None:
    assert (
        measure("mjpeg", video_of("mjpeg"), rounds=1).choice.why_not_nvdec
        == "NVDEC does not read mjpeg 4:2:0 of 8 bits"
    )
