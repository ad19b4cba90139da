"""What packets say of their frames, compared with what decoders do with them."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixtures.synthetic import encode, picture
from video.bits import START_CODE
from video.packet_notes import Notes
from video.packets import beginning_test, shown_test

ENCODERS = {
    "h264": ("libx264", "mp4", {"g": "8", "bf": "2"}),
    "h264, start codes": ("libx264", "avi", {"g": "8", "bf": "0"}),
    "h264, open": ("libx264", "matroska", {"g": "8", "bf": "2", "x264-params": "open-gop=1"}),
    "h264, slices": ("libx264", "mp4", {"g": "8", "x264-params": "slices=4"}),
    "hevc": ("libx265", "mp4", {"x265-params": "keyint=8:min-keyint=8:open-gop=0:log-level=1"}),
    "hevc, open": ("libx265", "matroska", {"x265-params": "keyint=8:min-keyint=8:open-gop=1:log-level=1"}),
    "vp8": ("libvpx", "webm", {"g": "8", "cpu-used": "8", "deadline": "realtime"}),
    "vp9": ("libvpx-vp9", "webm", {"g": "8", "cpu-used": "8", "deadline": "realtime"}),
    "av1": ("libsvtav1", "mp4", {"g": "8", "preset": "12"}),
    "mpeg4": ("mpeg4", "mp4", {"g": "8", "bf": "2"}),
    "mpeg1": ("mpeg1video", "matroska", {"g": "8", "bf": "2"}),
    "mpeg2": ("mpeg2video", "matroska", {"g": "8", "bf": "2"}),
    "mjpeg": ("mjpeg", "mov", {}),
    "prores": ("prores_ks", "mov", {}),
}


@cache
def video_of(kind: str) -> bytes:
    codec, container, options = ENCODERS[kind]
    pixels = "yuv422p10le" if kind == "prores" else None
    return encode(24, width=64, height=64, codec=codec, container=container, options=options, pixel_format=pixels)


def packets_of(video: bytes, bitstream_filter: str = "null") -> tuple[list[av.Packet], str, bytes | None]:
    """The packets of a file, the name of its decoder, and its extradata."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        stream = container.streams.video[0]
        bitstream = BitStreamFilterContext(bitstream_filter, stream)
        packets = [part for packet in container.demux(stream) for part in bitstream.filter(packet)]
        context = stream.codec_context
        return [packet for packet in packets if packet.size], context.codec.name, context.extradata


def frames_of(packets: Sequence[av.Packet], video: bytes) -> dict[int, NDArray[np.uint8]]:
    """The frames that a decoder returns for these packets of a file, by their pts."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        context = container.streams.video[0].codec_context
        frames = [frame for packet in [*packets, None] for frame in context.decode(packet)]
        return {cast(int, frame.pts): frame.to_ndarray().astype(np.uint8, copy=False) for frame in frames}


@pytest.mark.parametrize("kind", ENCODERS)
def test_decoding_begins_where_the_encoder_says(kind: str) -> None:
    packets, codec, extradata = packets_of(video_of(kind))
    begins = beginning_test(codec, extradata)
    assert begins is not None
    found = [begins(memoryview(packet)) for packet in packets]
    assert found == [packet.is_keyframe for packet in packets]
    assert sum(found) >= 3
    whole = frames_of(packets, video_of(kind))
    for place in np.flatnonzero(found):
        pts = packets[place].pts
        if pts is None:  # avi
            continue
        later = frames_of(packets[place:], video_of(kind))
        for time in (time for time in whole if time >= pts):
            assert np.array_equal(later[time], whole[time])


def test_a_picture_that_is_refreshed_in_stripes_is_no_beginning() -> None:
    video = encode(40, container="matroska", options={"g": "8", "x264-params": "intra-refresh=1:bframes=0"})
    packets, codec, extradata = packets_of(video)
    begins = beginning_test(codec, extradata)
    assert begins is not None
    assert sum(packet.is_keyframe for packet in packets) > 1
    assert [begins(memoryview(packet)) for packet in packets] == [True] + [False] * 39


def with_a_cut() -> bytes:
    """A mp4 whose frame 10 is intra, because the picture changes, and no keyframe, because the last one is near."""
    file = BytesIO()
    options = {"g": "100", "keyint_min": "50", "bf": "0"}
    with av.open(file, "w", format="mp4") as output:
        stream = cast(av.VideoStream, output.add_stream("libx264", rate=25, options=options))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(20):
            shown = picture(index, 64, 64) ^ np.uint8(0 if index < 10 else 255)
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def test_an_intra_picture_beyond_which_later_ones_may_refer_is_no_beginning() -> None:
    video = with_a_cut()
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        kinds = [PictureType(frame.pict_type) for frame in container.decode(video=0)]
    assert kinds[10] == PictureType.I
    packets, codec, extradata = packets_of(video)
    begins = beginning_test(codec, extradata)
    assert begins is not None
    assert [begins(memoryview(packet)) for packet in packets] == [True] + [False] * 19


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if kind not in ("vp8", "vp9", "av1")])
def test_codecs_without_hidden_frames_are_not_asked(kind: str) -> None:
    _, codec, extradata = packets_of(video_of(kind))
    assert shown_test(codec, extradata) is None


def test_hidden_frames_of_av1_are_told_from_shown_ones() -> None:
    video = video_of("av1")
    for bitstream_filter, hidden in (("null", False), ("av1_frame_split", True)):
        packets, codec, extradata = packets_of(video, bitstream_filter)
        shown = shown_test(codec, extradata)
        assert shown is not None
        assert sum(shown(memoryview(packet)) for packet in packets) == 24
        assert (len(packets) > 24) == hidden


@pytest.mark.parametrize(("kind", "bit"), [("vp8", 0x10), ("vp9", 0x02)])
def test_hidden_frames_of_vp8_and_vp9_are_told_from_shown_ones(kind: str, bit: int) -> None:
    video = video_of(kind)
    packets, codec, extradata = packets_of(video)
    shown = shown_test(codec, extradata)
    assert shown is not None
    assert all(shown(memoryview(packet)) for packet in packets)
    hidden = (8, 16)  # keyframes, whose other bits do not depend on this one
    for place in hidden:
        content = bytes(packets[place])
        packets[place].update(bytes([content[0] & ~bit]) + content[1:])
    assert [place for place, packet in enumerate(packets) if not shown(memoryview(packet))] == list(hidden)
    assert len(frames_of(packets, video)) == 22


def superframe(*frames: bytes) -> bytes:
    """Several frames of VP9 in one packet."""
    marker = bytes([0xC0 | 1 << 3 | len(frames) - 1])
    return b"".join(frames) + marker + b"".join(len(frame).to_bytes(2, "little") for frame in frames) + marker


def test_a_packet_of_several_vp9_frames_is_shown_if_one_of_them_is() -> None:
    video = video_of("vp9")
    packets, codec, extradata = packets_of(video)
    shown, begins = shown_test(codec, extradata), beginning_test(codec, extradata)
    assert shown is not None
    assert begins is not None
    key, inter = bytes(packets[8]), bytes(packets[9])
    hidden = bytes([key[0] & ~0x02]) + key[1:]
    existing = bytes([0x88])  # shows the first reference again
    for content, is_shown, is_beginning in (
        (superframe(hidden, inter), True, True),
        (superframe(hidden, existing), True, True),
        (superframe(hidden, hidden), False, True),
        (superframe(inter, hidden), True, False),
        (existing, True, False),
        (b"\0\0", True, False),  # not VP9: for the decoder to refuse
    ):
        assert shown(content) == is_shown
        assert begins(content) == is_beginning
        if content != b"\0\0":
            made = av.Packet(content)
            made.pts, made.dts, made.time_base = packets[8].pts, packets[8].dts, packets[8].time_base
            assert len(frames_of([*packets[:8], made], video)) == 8 + is_shown


def test_a_codec_that_does_not_tell_is_decoded_from_the_start() -> None:
    assert beginning_test("wmv2", None) is None
    assert shown_test("wmv2", None) is None


@pytest.mark.parametrize(
    "codec", ["h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg"]
)
@pytest.mark.parametrize("extradata", [None, b"", b"\1" * 30, b"\0\0\1\x67", b"\x81\0\0\0\x0a"])
def test_no_packet_is_too_short_or_too_odd_to_be_looked_at(codec: str, extradata: bytes | None) -> None:
    choose = np.random.default_rng(0)
    begins, shown = beginning_test(codec, extradata), shown_test(codec, extradata)
    contents = [choose.bytes(length) for length in (*range(1, 20), 300) for _ in range(10)]
    contents += [bytes([byte]) * length for byte in (0, 1, 0x80, 0xC9, 0xFF) for length in (1, 2, 5, 300)]
    contents += [b"\0\0\1\xb6", b"\0\0\1", b"\0\0\1\6" + b"\xff" * 40, b"\0\0\0\x05\6\6\xff\xff\xff"]
    for content in contents:
        assert begins is not None
        assert begins(memoryview(content)) in (True, False)
        assert shown is None or shown(memoryview(content)) in (True, False)


CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "prores")
PIECES = st.one_of(
    st.sampled_from([START_CODE, b"\0" + START_CODE, b"\0\0", b"\x65", b"\x06\x06"]), st.binary(max_size=5)
)


@given(
    st.sampled_from(CODECS),
    st.one_of(st.none(), st.lists(PIECES, max_size=12).map(b"".join)),
    st.lists(PIECES, min_size=1, max_size=12).map(b"".join).filter(len),
)
def test_any_packet_has_an_answer(codec: str, extradata: bytes | None, packet: bytes) -> None:
    """Two start codes in a row once had none: an empty unit between them."""
    for test in (beginning_test(codec, extradata), shown_test(codec, extradata)):
        assert test is None or isinstance(test(memoryview(packet)), bool)
    Notes(codec, extradata).take(memoryview(packet), is_shown=True)
