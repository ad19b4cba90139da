"""Valid files that few encoders write: each is scored, and on the frames that a player would show."""

import errno
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from types import SimpleNamespace
from typing import TypedDict, cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from client import Client
from fixtures.remuxed import remux, with_hidden_frames
from fixtures.several_streams import Video, encode_several
from fixtures.synthetic import decode_all, encode, picture
from tests.test_decoding import clips, frame_table
from tests.test_isolation import orders_of
from video import InvalidVideo, IsolatedDecoder, Limits, decoding
from video.decoding import decode


class Size(TypedDict):
    width: int
    height: int


SMALL: Size = {"width": 96, "height": 64}


def several(first: str, second: str, *, cover: bool = False) -> bytes:
    """A file with two video streams, 20 frames of 96 x 64 and 30 of 128 x 96, and with `cover` a picture of 32 x 32."""
    attached = Video(1, 32, 32, "mjpeg", Disposition.attached_pic)
    return encode_several([*([attached] if cover else []), Video(20, 96, 64, first), Video(30, 128, 96, second)])


def growing() -> bytes:
    """A webm whose frames are 64 x 48 in its first half and 160 x 96 in its second."""
    file = BytesIO()
    with av.open(file, "w", format="webm") as output:
        written = output.add_stream("libvpx-vp9", rate=25)
        written.width, written.height, written.pix_fmt = 64, 48, "yuv420p"
        for half, (width, height) in enumerate(((64, 48), (160, 96))):
            encoder = av.CodecContext.create("libvpx-vp9", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.thread_count, encoder.options = 1, {"cpu-used": "8", "deadline": "realtime"}
            encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
            frames = [av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24") for index in range(10)]
            for index, frame in enumerate(frames):
                frame.pts, frame.time_base = half * 10 + index, Fraction(1, 25)
            for each in [*frames, None]:
                for packet in encoder.encode(each):
                    packet.stream = written
                    output.mux(packet)
    return file.getvalue()


def without_timestamps() -> bytes:
    """An avi whose header has 0 frames per second."""
    video = bytearray(encode(20, **SMALL, codec="mpeg4", container="avi"))
    header = video.index(b"strh") + 8
    video[header + 24 : header + 28] = bytes(4)  # dwRate
    return bytes(video)


UNUSUAL: dict[str, Callable[[], bytes]] = {
    "10-bit": lambda: encode(20, **SMALL, pixel_format="yuv420p10le"),
    "10-bit HEVC": lambda: encode(20, **SMALL, codec="libx265", pixel_format="yuv420p10le"),
    "4:4:4": lambda: encode(20, **SMALL, pixel_format="yuv444p"),
    "4:2:2 10-bit": lambda: encode(20, **SMALL, pixel_format="yuv422p10le"),
    "grey": lambda: encode(20, **SMALL, pixel_format="gray"),
    "transparent": lambda: encode(20, **SMALL, codec="libvpx-vp9", container="webm", pixel_format="yuva420p"),
    "interlaced": lambda: encode(20, **SMALL, options={"flags": "+ilme+ildct", "x264-params": "tff=1"}),
    "variable frame rate": lambda: encode(20, **SMALL, pts=[index * index for index in range(20)]),
    "one keyframe in a minute": lambda: encode(1500, width=32, height=32, options={"g": "9999", "sc_threshold": "0"}),
    "fragmented": lambda: encode(20, **SMALL, container_options={"movflags": "frag_keyframe+empty_moov"}),
    "several video streams": lambda: several("libx264", "libx264"),
    "a cover picture": lambda: several("libx264", "mpeg4", cover=True),
    "two frames per minute": lambda: encode(4, **SMALL, rate=Fraction(1, 30)),
    "240 frames per second": lambda: encode(50, **SMALL, rate=240),
    "frames of another size in the middle": growing,
    "no frame rate": without_timestamps,
    "hidden frames": lambda: with_hidden_frames(encode(20, **SMALL, codec="libvpx", container="webm"), "webm", {4, 11}),
}


@pytest.mark.heavy
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if "minute" in kind else ()) for kind in UNUSUAL]
)
def test_the_frames_are_those_that_a_player_shows(kind: str) -> None:
    found, expected = clips(UNUSUAL[kind]())
    assert np.array_equal(found, expected)


def test_the_first_of_several_streams_that_is_no_cover_is_scored(client: Client) -> None:
    for video in (several("libx264", "libx264"), several("libx264", "mpeg4", cover=True)):
        info = client.score(video).info
        assert (info.frames, info.width, info.height) == (20, 96, 64)


@pytest.mark.slow
def test_every_one_is_scored_by_the_server(client: Client) -> None:
    for kind, make in UNUSUAL.items():
        score = client.score(make())
        assert all(np.isfinite(value) for value in vars(score.motion).values()), kind


def test_transparency_is_ignored() -> None:
    opaque, transparent = (
        decode_all(encode(5, **SMALL, codec="libvpx-vp9", container="webm", pixel_format=pixel_format))
        for pixel_format in ("yuv420p", "yuva420p")
    )
    assert np.array_equal(opaque, transparent)


def test_a_lying_phone_video_is_scored_upright(client: Client) -> None:
    upright = client.score(encode(30, **SMALL, rotation_degrees=90))
    assert (upright.info.width, upright.info.height) == (64, 96)
    assert upright != client.score(encode(30, **SMALL))


def decoded(video: bytes) -> NDArray[np.uint8]:
    """The clips of a file."""
    table = frame_table(video)
    order = np.arange(table.info.frames)
    out = np.zeros((2 * len(order), 224, 224, 3), np.uint8)
    decode(BytesIO(video), order, order, order, 224, out)
    return out


@pytest.mark.parametrize(
    ("codec", "container", "bitstream_filter"),
    [
        *(("libvpx-vp9", "webm", f"vp9_metadata=color_space={name}") for name in ("bt709", "bt2020", "smpte240")),
        # BT.709 and BT.2020, and YCgCo and ICtCp, which FFmpeg cannot convert.
        *(("libx264", "mp4", f"h264_metadata=matrix_coefficients={number}") for number in (1, 9, 8, 14)),
    ],
)
def test_a_color_space_that_is_stated_changes_nothing(codec: str, container: str, bitstream_filter: str) -> None:
    """Every video is converted as BT.601, because the networks were trained with videos that were."""
    untagged = encode(8, **SMALL, codec=codec, container=container)
    tagged = remux(untagged, container, bitstream_filter=bitstream_filter)
    with cast(InputContainer, av.open(BytesIO(tagged))) as opened:
        assert next(opened.decode(video=0)).colorspace != 2  # it is stated
    assert np.array_equal(decoded(tagged), decoded(untagged))


def test_the_range_that_a_video_states_still_counts() -> None:
    """Levels from 0 to 255, as phones record them, or from 16 to 235."""
    full, limited = (encode(8, **SMALL, pixel_format=pixel_format) for pixel_format in ("yuvj420p", "yuv420p"))
    found, plain = clips(full)
    assert np.array_equal(found, plain)
    assert np.abs(found.astype(int) - clips(limited)[0]).mean() < 4


def test_rgb_is_not_converted() -> None:
    found, plain = clips(encode(8, **SMALL, codec="libx264rgb", pixel_format="rgb24"))
    assert np.array_equal(found, plain)


def test_colours_that_ffmpeg_cannot_convert_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise av.FFmpegError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(decoding, "VideoReformatter", lambda: SimpleNamespace(reformat=refuse))
    with pytest.raises(InvalidVideo, match=r"the video's colors \(yuv420p, color space 2\) cannot be converted to RGB"):
        clips(encode(8, **SMALL))


def test_a_frame_that_outgrows_the_limit_in_the_middle_is_refused() -> None:
    video = growing()
    assert frame_table(video).info.width == 64
    decoder = IsolatedDecoder(Limits(max_pixels=64 * 48))
    try:
        orders = orders_of(decoder.plan(memoryview(video), {}))
        with pytest.raises(InvalidVideo, match="the video has 160 x 96 pixels; the maximum is 3072 pixels"):
            decoder.decode(memoryview(video), *orders, 224)
    finally:
        decoder.close()
