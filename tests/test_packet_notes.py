"""What is noted of packets, compared with what encoders and decoders say."""

from io import BytesIO
from itertools import product
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.frame import PictureType

from fixtures.stripped import KINDS, video_of
from fixtures.synthetic import encode
from video.packet_notes import DOUBT, HIDDEN, LAYER_PLACE, RESETS, SETS, SPLICE, UNREFERENCED, Notes
from video.stripping import superframe


def notes_of(video: bytes) -> tuple[np.ndarray, list[int | None], dict[int | None, PictureType]]:
    """The notes of all packets, their pts, and the kind of the frame at each pts."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        stream = container.streams.video[0]
        notes = Notes(stream.codec_context.codec.name, stream.codec_context.extradata)
        pts = []
        for packet in container.demux(stream):
            if packet.size:
                notes.take(memoryview(packet), is_shown=True)
                pts.append(packet.pts)
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        kinds = {frame.pts: PictureType(frame.pict_type) for frame in container.decode(video=0)}
    return notes.all, pts, kinds


@pytest.mark.parametrize("kind", KINDS)
def test_no_doubt_about_ordinary_videos(kind: str) -> None:
    notes, _, _ = notes_of(video_of(kind))
    assert not (notes & DOUBT).any()
    assert notes[0] & SPLICE
    assert len(notes) >= 60


@pytest.mark.parametrize("kind", ["mpeg4", "mpeg2", "mpeg1"])
def test_b_pictures_are_not_referred_to(kind: str) -> None:
    notes, pts, kinds = notes_of(video_of(kind))
    b_pictures = np.array([kinds[time] == PictureType.B for time in pts])
    assert 30 < b_pictures.sum() < 70
    assert np.array_equal(notes & UNREFERENCED != 0, b_pictures)


@pytest.mark.parametrize("kind", ["x264", "x265", "x264, b-pyramid"])
def test_only_some_b_pictures_of_a_pyramid_are_not_referred_to(kind: str) -> None:
    notes, pts, kinds = notes_of(video_of(kind))
    unreferenced = notes & UNREFERENCED != 0
    assert unreferenced.any()
    b_pictures = np.array([kinds[time] == PictureType.B for time in pts])
    assert not unreferenced[~b_pictures].any()
    assert (b_pictures & ~unreferenced).any()


def test_temporal_layers_are_noted() -> None:
    notes, _, _ = notes_of(video_of("x265, layers"))
    assert set(notes >> LAYER_PLACE) >= {0, 1, 2}
    plain, _, _ = notes_of(video_of("x265"))
    assert set(plain >> LAYER_PLACE) == {0}


def test_fields_are_doubtful() -> None:
    notes, _, _ = notes_of(encode(10, width=64, height=48, options={"x264-params": "tff=1"}))
    assert (notes & DOUBT).all()
    notes, _, _ = notes_of(encode(10, width=64, height=48, codec="wmv2", container="asf"))
    assert (notes & DOUBT).all()


def test_parameters_that_the_container_does_not_have_are_noted() -> None:
    video = video_of("x264, slices")
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata
        first = bytes(next(iter(container.demux(stream))))
    for stated, noted in ((extradata, False), (None, True)):
        notes = Notes("h264", stated)
        notes.take(first, is_shown=False)
        assert bool(notes.all[0] & SETS) == noted
        assert notes.all[0] & HIDDEN


def test_small_pictures_of_mpeg4_may_not_be_coded() -> None:
    with cast(InputContainer, av.open(BytesIO(video_of("mpeg4")))) as container:
        notes = Notes("mpeg4", container.streams.video[0].codec_context.extradata)
    for content in (b"\0\0\1\xb6\x50\x21\x07", b"\0\0\1\xb6" + b"\x50" * 20, b"\0\0\1\xb6" + b"\x90" * 20):
        notes.take(content, is_shown=True)
    assert notes.all.tolist() == [DOUBT, SPLICE, SPLICE | UNREFERENCED]


def test_interlaced_mpeg4_is_doubtful() -> None:
    options = {"bf": "2", "flags": "+ilme+ildct"}
    for container in ("mp4", "mpegts"):
        notes, _, _ = notes_of(encode(20, width=64, height=48, codec="mpeg4", container=container, options=options))
        assert (notes & DOUBT).all()


@pytest.mark.parametrize(
    "codec", ["h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "wmv2"]
)
@pytest.mark.parametrize(
    "extradata",
    [
        None,
        b"",
        b"\1" * 30,
        b"\xff" * 60,
        b"\0\0\1\x67",
        b"\0\0\0\1\x67\xff\0",
        b"\x81\0\0\0\x0a",
        b"\x81\0\0\0\x0a\1\0",
    ],
)
def test_no_packet_is_too_short_or_too_odd_to_be_noted(codec: str, extradata: bytes | None) -> None:
    choose = np.random.default_rng(0)
    notes = Notes(codec, extradata)
    contents = [choose.bytes(length) for length in (*range(1, 20), 300) for _ in range(10)]
    contents += [bytes([byte]) * length for byte in (0, 1, 0x80, 0xC9, 0xFF) for length in (1, 2, 5, 300)]
    contents += [b"\0\0\1\xb6", b"\0\0\1", b"\0\0\1\x67" + b"\xff" * 9000, b"\0\0\0\x05\6\6\xff\xff\xff", b"\0\0\1\0"]
    contents += [b"\0\0\1\xb3\0\0\1\xb8\0\0\1\0\0\x10" + b"a" * 20, b"\0\0\1\x20\0\0\1\xb6" + b"\x50" * 20]
    for content in contents:
        notes.take(memoryview(content), is_shown=True)
    assert len(notes.all) == len(contents)


AVCC = b"\1\x64\0\x1f\xff\xe0\0"
HVCC = b"\1" + bytes(20) + b"\3\0"
"""Extradata without parameter sets, with lengths of four bytes."""


def noted(codec: str, extradata: bytes | None, packets: list[bytes]) -> list[int]:
    notes = Notes(codec, extradata)
    for packet in packets:
        notes.take(memoryview(packet), is_shown=True)
    return notes.all.tolist()


@pytest.mark.parametrize(
    ("codec", "extradata", "filler", "thirds"),
    [("h264", AVCC, b"\x0c\xff\x80", [0x10]), ("hevc", HVCC, b"\x4c\1\x80", [0, 0x40, 0x80, 0xC0, 0x9F])],
)
def test_a_packet_of_one_unit_is_noted_like_one_with_filler_data(
    codec: str, extradata: bytes, filler: bytes, thirds: list[int]
) -> None:
    """Notes of the former are kept for the next packet; each is asked for twice."""
    firsts = range(256) if codec == "hevc" else range(0, 256, 3)
    seconds = range(0, 18) if codec == "hevc" else (0, 0x7F, 0x80, 0xFF)
    units = [bytes([first, second, third, 1]) for first in firsts for second in seconds for third in thirds] * 2
    single = [len(unit).to_bytes(4, "big") + unit for unit in units]
    several = [packet + len(filler).to_bytes(4, "big") + filler for packet in single]
    found = noted(codec, extradata, single)
    assert found == noted(codec, extradata, several)
    assert len(set(found)) > 3


def test_a_single_vp9_frame_is_noted_like_one_in_a_packet_for_several() -> None:
    seconds, thirds = (0, 1, 0x3F, 0x40, 0xC0, 0xFF), (0, 0x3F, 0x40, 0x80, 0xFF)
    frames = [bytes([first, *rest]) + bytes(20) for first in range(256) for rest in product(seconds, thirds)]
    found = noted("vp9", None, frames)
    assert found == noted("vp9", None, [superframe([frame]) for frame in frames])
    assert {SPLICE, SPLICE | UNREFERENCED, SPLICE | RESETS, SPLICE | RESETS | UNREFERENCED, DOUBT} <= set(found)
