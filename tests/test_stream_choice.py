"""Of several video streams, the one is scored that ffmpeg shows."""

from io import BytesIO

import numpy as np
import pytest
from av.stream import Disposition

from fixtures.several_streams import Video, encode_several
from tests.test_decoding import frame_table
from video.decoding import decode

DEFAULT = Disposition.default
SMALL, LARGE = Video(3, 64, 48), Video(5, 128, 96)
SMALL_DEFAULT, LARGE_DEFAULT = Video(3, 64, 48, disposition=DEFAULT), Video(5, 128, 96, disposition=DEFAULT)
THUMBNAIL = Video(1, 96, 64, "mjpeg")
COVER = Video(1, 256, 256, "mjpeg", Disposition.attached_pic)
HUGE = Video(1, 2560, 2048, "mjpeg")
EMPTY = Video(0, 128, 96, disposition=DEFAULT)


@pytest.mark.parametrize(
    ("container", "videos", "shown"),
    [
        ("mov", [THUMBNAIL, SMALL_DEFAULT], SMALL_DEFAULT),
        ("mp4", [LARGE, SMALL_DEFAULT], SMALL_DEFAULT),
        ("matroska", [LARGE, SMALL_DEFAULT], SMALL_DEFAULT),
        ("matroska", [SMALL_DEFAULT, LARGE], SMALL_DEFAULT),
        ("mp4", [SMALL_DEFAULT, LARGE_DEFAULT], LARGE_DEFAULT),
        ("matroska", [SMALL, LARGE], LARGE),
        ("matroska", [SMALL_DEFAULT, LARGE_DEFAULT], LARGE_DEFAULT),
        ("avi", [SMALL, LARGE], LARGE),
        ("avi", [LARGE, SMALL], LARGE),
        ("matroska", [SMALL, Video(5, 48, 64)], SMALL),
        ("matroska", [SMALL_DEFAULT, HUGE], HUGE),
        ("matroska", [EMPTY, SMALL], SMALL),
        ("avi", [EMPTY, SMALL], SMALL),
        ("mp4", [COVER, SMALL], SMALL),
        ("mp4", [SMALL, COVER], SMALL),
    ],
    ids=lambda value: " ".join(f"{each.width}x{each.height}" for each in value) if isinstance(value, list) else None,
)
def test_the_stream_that_ffmpeg_shows_is_scored(container: str, videos: list[Video], shown: Video) -> None:
    video = encode_several(videos, container)
    info = frame_table(video).info
    assert (info.frames, info.width, info.height) == (shown.frames, shown.width, shown.height)


def test_its_frames_are_those_of_the_video_alone() -> None:
    indices, order = np.arange(5), np.zeros(0, int)
    together, alone = (np.zeros((5, 224, 224, 3), np.uint8) for _ in range(2))
    decode(BytesIO(encode_several([THUMBNAIL, LARGE_DEFAULT], "mov")), indices, indices, order, 224, together)
    decode(BytesIO(encode_several([LARGE_DEFAULT], "mov")), indices, indices, order, 224, alone)
    assert alone.std() > 10
    assert np.array_equal(together, alone)
