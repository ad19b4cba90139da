"""Frames are turned and mirrored as ffmpeg shows them, whatever container says so."""

from collections.abc import Sequence
from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from numpy.typing import NDArray

from fixtures.remuxed import remux
from fixtures.synthetic import decode_all, encode
from tests.test_decoding import frame_table
from video.decoding import decode
from video.orientation import UPRIGHT, Orientation, orientation_of, orientation_of_matrix
from video.resize import crop, stretch

ONE = 1 << 16
ORIENTATIONS = {
    (1, 0, 0, 1): Orientation(0, False),
    (0, 1, -1, 0): Orientation(90, False),
    (-1, 0, 0, -1): Orientation(180, False),
    (0, -1, 1, 0): Orientation(270, False),
    (-1, 0, 0, 1): Orientation(0, True),
    (0, -1, -1, 0): Orientation(90, True),
    (1, 0, 0, -1): Orientation(180, True),
    (0, 1, 1, 0): Orientation(270, True),
}
"""By the upper left 2 x 2 of the display matrix."""


def matrix(a: float, b: float, c: float, d: float) -> tuple[int, ...]:
    """A display matrix in FFmpeg's layout."""
    return (round(a * ONE), round(b * ONE), 0, round(c * ONE), round(d * ONE), 0, 0, 0, 1 << 30)


def moved(frame: NDArray[np.uint8], corner: Sequence[int]) -> NDArray[np.uint8]:
    """The displayed frame, pixel by pixel: (x, y) goes to (a x + c y, b x + d y)."""
    a, b, c, d = corner
    height, width, _ = frame.shape
    y, x = np.mgrid[:height, :width]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    out = np.zeros((down.max() + 1, across.max() + 1, 3), np.uint8)
    out[down, across] = frame
    return out


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("libx264", "mp4"),
        ("mpeg4", "mov"),
        ("libx264", "matroska"),
        pytest.param("libvpx", "webm", marks=pytest.mark.heavy),
    ],
)
@pytest.mark.parametrize("corner", ORIENTATIONS, ids=str)
def test_all_eight_orientations_are_shown_in_every_container(
    corner: tuple[int, int, int, int], codec: str, container: str
) -> None:
    options = {"cpu-used": "8", "deadline": "realtime"} if codec == "libvpx" else None
    turned = matrix(*corner)
    video = encode(8, width=96, height=64, codec=codec, container=container, options=options, display_matrix=turned)
    table = frame_table(video)
    assert table.orientation == ORIENTATIONS[corner]
    shown = [moved(frame, corner) for frame in decode_all(video)]
    assert (table.info.height, table.info.width) == shown[0].shape[:2]
    indices, order = np.array([0, 3, 7]), np.arange(3)
    out = np.zeros((6, 224, 224, 3), np.uint8)
    decode(BytesIO(video), indices, order, order, 224, out)
    for place, index in enumerate(indices):
        assert np.array_equal(out[place], stretch(shown[index]))
        assert np.array_equal(out[3 + place], crop(shown[index], 224))


def test_an_avi_has_no_orientation() -> None:
    video = encode(5, codec="mpeg4", container="avi", display_matrix=matrix(0, 1, -1, 0))
    assert frame_table(video).orientation == UPRIGHT


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_an_orientation_in_the_bitstream_is_read_too(container: str) -> None:
    video = encode(5, width=96, height=64)
    turned = remux(
        video, container, bitstream_filter="h264_metadata=display_orientation=insert:rotate=90:flip=horizontal"
    )
    with cast(InputContainer, av.open(BytesIO(turned))) as opened:
        expected = orientation_of(next(opened.decode(video=0)))
    table = frame_table(turned)
    assert table.orientation == expected
    assert expected.mirrored
    assert (table.info.width, table.info.height) == (64, 96)


@pytest.mark.parametrize(
    ("corner", "orientation"),
    [
        ((2, 0, 0, 0.5), UPRIGHT),
        ((0, 3, -3, 0), Orientation(90)),
        ((0.0087, 1, -1, 0.0087), Orientation(90)),  # half a degree less
        ((0.0087, -1, -1, -0.0087), Orientation(90, mirrored=True)),
        ((0.7071, 0.7071, -0.7071, 0.7071), UPRIGHT),  # 45 degrees
        ((0.9848, 0.1736, -0.1736, 0.9848), UPRIGHT),  # 10 degrees
        ((0, 0, 0, 0), UPRIGHT),
        ((1, 0, 1, 0), UPRIGHT),
        ((1, 1, 1, 1), UPRIGHT),
    ],
)
def test_scales_and_small_errors_do_not_matter_and_other_angles_turn_nothing(
    corner: tuple[float, ...], orientation: Orientation
) -> None:
    assert orientation_of_matrix(matrix(*corner)) == orientation


def damaged(video: bytes, packets: int) -> bytes:
    """An mp4 whose first packets are zeros."""
    content = bytearray(video)
    with cast(InputContainer, av.open(BytesIO(video))) as opened:
        for packet in list(opened.demux(video=0))[:packets]:
            assert packet.pos is not None
            content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    return bytes(content)


@pytest.mark.parametrize("packets", [1, 25, 50])
def test_the_orientation_is_read_off_the_first_frame_that_can_be_decoded(packets: int) -> None:
    video = encode(100, width=64, height=48, options={"g": "20"}, rotation_degrees=90)
    assert frame_table(damaged(video, packets)).orientation == Orientation(90)


def test_of_a_video_that_is_refreshed_in_stripes_the_first_frame_is_found() -> None:
    """Cut in the middle, so that no frame is complete for a second."""
    options = {"g": "50", "x264-params": "intra-refresh=1:bframes=0"}
    video = encode(120, width=96, height=64, options=options)
    file = BytesIO()
    with cast(InputContainer, av.open(BytesIO(video))) as source, av.open(file, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        cast(av.VideoStream, stream).set_display_rotation(-90)
        for packet in [packet for packet in source.demux(video=0) if packet.size][50:]:
            packet.stream = stream
            target.mux(packet)
    assert frame_table(file.getvalue()).orientation == Orientation(90)


def test_a_video_of_which_nothing_can_be_decoded_is_not_turned() -> None:
    video = encode(50, width=64, height=48, rotation_degrees=90)
    assert frame_table(damaged(video, 50)).orientation == UPRIGHT
