"""A small file cannot ask for the decoding of frames without end: it is refused before any is decoded."""

from io import BytesIO

import numpy as np
import pytest

from fixtures.bombs import bomb
from fixtures.synthetic import encode
from video import InvalidVideo, IsolatedDecoder, Limits, Parameters, sample
from video.container import FrameTable, open_video, read_frame_table
from video.decoding import Decoded, decode, frames_to_decode
from video.errors import Reason
from video.work import check_work, max_pixels

TIGHT = Limits(max_decoded_pixels=2_000_000, max_decoded_pixels_per_byte=1)


def table_of(video: bytes) -> FrameTable:
    file = BytesIO(video)
    with open_video(file) as (container, stream):
        return read_frame_table(container, stream)


def decode_with(limits: Limits, video: bytes, wanted: list[int], total: Decoded) -> None:
    order = np.zeros(16, int)
    out = np.zeros((16, 224, 224, 3), np.uint8)
    decode(BytesIO(video), np.array(wanted), order, order[:0], 224, out, limits=limits, total=total)


def test_the_known_bomb_is_beyond_the_limit_and_ordinary_videos_are_far_below() -> None:
    with pytest.raises(InvalidVideo) as raised:
        check_work(3000, 8192, 4320, 200_000, Limits())
    assert str(raised.value) == (
        "the wanted frames need 3000 frames of 8192 x 4320 decoded, 106.2 gigapixels; the maximum for a file of 0.2 MB "
        "is 42.0 (MAX_DECODED_PIXELS): request a part of the video (start_seconds, end_seconds)"
    )
    assert raised.value.reason is Reason.TOO_LARGE
    check_work(60 * 60, 3840, 2160, 15_000_000, Limits())  # a minute of 4K at 2 Mbit/s
    check_work(10 * 60 * 30, 1920, 1080, 1_000_000, Limits())  # ten minutes of a picture that does not change
    check_work(100 * 30, 8192, 4320, 250_000_000, Limits())  # 100 s of 8K


def test_a_file_at_its_limit_is_decoded_and_one_frame_more_is_not() -> None:
    video = bomb(320, 240, 40)
    allowed = 30 * 320 * 240
    limits = Limits(max_decoded_pixels=allowed - len(video), max_decoded_pixels_per_byte=1)
    assert max_pixels(len(video), limits) == allowed
    for last, refused in ((29, False), (30, True)):
        total = Decoded()
        if refused:
            with pytest.raises(
                InvalidVideo, match=r"^the wanted frames need 31 frames of 320 x 240 decoded, 0\.0 giga"
            ):
                decode_with(limits, video, [3, last], total)
        else:
            decode_with(limits, video, [3, last], total)
        assert total.frames == (0 if refused else 30)


def test_groups_of_pictures_without_wanted_frames_do_not_count() -> None:
    video = encode(60, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    table = table_of(video)
    assert table.packet_is_keyframe.sum() == 6
    assert frames_to_decode(table, np.array([0, 59])) == 1 + 10
    assert frames_to_decode(table, np.array([31])) == 2
    sampling = sample(table.timestamps, table.info.duration_seconds, Parameters())
    total = Decoded()
    decode_with(Limits(), video, sampling.frame_indices.tolist(), total)
    assert total.frames == frames_to_decode(table, sampling.frame_indices)


def test_without_timestamps_every_frame_up_to_the_last_wanted_one_counts() -> None:
    table = table_of(encode(30, codec="mpeg4", container="avi"))
    assert table.pts is None
    assert frames_to_decode(table, np.array([2, 17])) == 18


def test_frames_larger_than_the_container_says_count_as_they_are() -> None:
    video = bomb(1280, 720, 100, stated=(64, 48))
    assert table_of(video).info.width == 64
    total = Decoded()
    with pytest.raises(
        InvalidVideo, match=r"^more than 0\.0 gigapixels were decoded, the maximum for a file of"
    ) as raised:
        decode_with(TIGHT, video, [0, 99], total)
    assert raised.value.reason is Reason.TOO_LARGE
    assert total.frames <= 4
    decode_with(Limits(), video, [0, 99], Decoded())


def test_what_is_too_much_to_decode_is_not_stripped_and_so_refused_before_any_frame_is_decoded() -> None:
    video = memoryview(bomb(320, 240, 400))
    made = IsolatedDecoder(TIGHT)
    try:
        plan = made.plan(video, {})
        assert not len(plan["stripped_video"])
        indices, motion, camera = (np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order"))
        stripped, in_it = plan["stripped_video"], np.array(plan["stripped_indices"], int)
        with pytest.raises(InvalidVideo, match=r"^the wanted frames need 400 frames of 320 x 240 decoded"):
            made.decode(video, indices, motion, camera, 224, stripped_video=stripped, stripped_indices=in_it)
        assert made.frames_decoded == 0
    finally:
        made.close()
    made = IsolatedDecoder(Limits())
    try:
        assert len(made.plan(video, {})["stripped_video"])  # within the limits, it is
    finally:
        made.close()
