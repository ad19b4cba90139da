"""A stripped file has the wanted frames bit for bit, and no packet that they do not need."""

import tracemalloc
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from fixtures.remuxed import flagged, with_hidden_frames
from fixtures.several_streams import Video, encode_several
from fixtures.stripped import FRAMES, KINDS, StrippedVideo, strip, video_of
from fixtures.synthetic import encode
from tests.test_orientation import ORIENTATIONS, matrix
from video import Parameters
from video.container import open_video, read_frame_table
from video.packet_notes import RASL
from video.packets import vp9_frames
from video.strip import Strip
from video.stripped_file import FRAME_TICKS, TICKS_PER_SECOND
from video.stripping import superframe

pytestmark = pytest.mark.heavy

SPARSE = Parameters(fps=2, max_clips=2, clip_seconds=0.3)
PART = Parameters(fps=1, start_seconds=1.3, end_seconds=1.9)
LEFT = {
    "x264, b-pyramid": 0.85,
    "x265": 0.8,
    "x265, closed groups": 0.8,
    "x265, layers": 0.8,
    "av1": 0.7,
    "mpeg4": 0.66,
    "mpeg2": 0.66,
    "mpeg1": 0.66,
    "mjpeg": 0.5,
}
"""The largest share of the packets that may be left for `Parameters()`, by kind."""


def frames_of(video: bytes) -> list[tuple[int | None, NDArray[np.generic]]]:
    """The pts and the planes of each frame, as the decoder returns them."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        return [(frame.pts, frame.to_ndarray()) for frame in container.decode(container.streams.video[0])]


@cache
def cached_frames(video: bytes) -> list[tuple[int | None, NDArray[np.generic]]]:
    return frames_of(video)


def packets_of(video: bytes) -> list[Packet]:
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        assert len(container.streams) == 1
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


def check(video: bytes, parameters: Parameters | None = None, when: Strip = Strip.WHERE_SAFE) -> float:
    """Check the stripped file of a video; returns the share of packets that are left."""
    stripped = strip(video, parameters, when)
    assert stripped.content, "not stripped"
    check_container(stripped)
    whole = cached_frames(video)
    by_pts = dict(whole)
    found = frames_of(stripped.content)
    for index, place in zip(stripped.frame_indices, stripped.indices, strict=True):
        table = stripped.table
        expected = whole[index][1] if table.pts is None else by_pts[int(table.pts[index])]
        assert np.array_equal(found[place][1], expected)
    return len(found) / len(stripped.table.packet_is_keyframe)


def check_container(stripped: StrippedVideo) -> None:
    """Frames are at a constant rate from 0 on, one a packet; each keyframe is found by its pts and can be decoded."""
    content = stripped.content
    assert b"elst" not in content[:100] + content[-100_000:]
    packets = packets_of(content)
    with cast(InputContainer, av.open(BytesIO(content))) as container:
        times = [cast(Fraction, frame.time_base) * cast(int, frame.pts) for frame in container.decode(video=0)]
    tick = Fraction(FRAME_TICKS, TICKS_PER_SECOND)
    assert times == [number * tick for number in range(len(packets))]
    assert sorted(cast(int, packet.pts) * cast(Fraction, packet.time_base) for packet in packets) == times
    assert packets[0].is_keyframe
    assert not any(packet.is_discard for packet in packets)
    with cast(InputContainer, av.open(BytesIO(content))) as container:
        stream = container.streams.video[0]
        # Packets are no measure: FFmpeg flags pictures whose headers say that decoding can begin there, too.
        flagged_dts = {entry.timestamp for entry in stream.index_entries if entry.is_keyframe}
        for number, packet in enumerate(packets):
            if packet.dts in flagged_dts:
                pts = cast(int, packet.pts)
                assert all(cast(int, before.pts) < pts for before in packets[:number])
                container.seek(pts, stream=stream, backward=True)
                assert next(frame.pts for frame in container.decode(stream)) == pts


@pytest.mark.parametrize("kind", KINDS)
def test_wanted_frames_are_bit_equal(kind: str) -> None:
    when = Strip.FOR_FFMPEG if kind.startswith("av1") else Strip.WHERE_SAFE
    video = video_of(kind)
    share = check(video, Parameters(), when)
    assert share <= LEFT.get(kind, 1)
    check(video, SPARSE, when)
    assert check(video, PART, when) < 0.75


@pytest.mark.parametrize("kind", ["x264", "x264, slices", "x265, open groups", "vp9", "mjpeg, avi"])
def test_the_packets_of_a_large_video_are_read_a_second_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = strip(video_of(kind), SPARSE)
    assert held.table.packets is not None
    assert len(held.table.packets) == len(held.table.packet_is_keyframe)
    monkeypatch.setattr("video.container.MAX_HELD_BYTES", 10_000)
    again = strip(video_of(kind), SPARSE)
    assert again.table.packets is None
    assert again.content == held.content
    assert again.indices == held.indices
    check(video_of(kind), SPARSE)


def test_nothing_after_the_last_wanted_frame_is_left() -> None:
    video = video_of("x264, long groups")
    part = Parameters(fps=1, start_seconds=0.5, end_seconds=0.7)
    stripped = strip(video, part)
    first, last = stripped.table.pts[stripped.frame_indices[[0, -1]]]  # type: ignore[index]
    assert check(video, part) * FRAMES <= stripped.frame_indices[-1] + 4
    assert first < last


def test_groups_without_wanted_frames_are_left_out() -> None:
    packets = packets_of(strip(video_of("x264, groups of 20"), PART).content)
    assert len(packets) <= 30
    assert packets[0].is_keyframe


def test_a_random_access_picture_behind_a_gap_begins_anew() -> None:
    """HEVC's order of display counts on from group to group: over a gap, the count would be wrong."""
    frames = 400
    video = encode(
        frames,
        width=64,
        height=48,
        codec="libx265",
        options={"x265-params": "keyint=20:min-keyint=20:log-level=0:pools=1:frame-threads=1"},
    )
    few = Parameters(fps=0.1, max_frames=1, max_clips=2, clip_seconds=0.2)
    share = check(video, few)
    assert share < 0.6
    kinds = [bytes(packet)[4] >> 1 & 63 for packet in packets_of(strip(video, few).content)]
    assert 17 in kinds


def test_frames_that_refer_to_the_group_before_keep_it() -> None:
    video = video_of("x265, open groups")
    table = strip(video).table
    assert table.pts is not None
    assert table.packet_pts is not None
    assert table.packet_notes is not None
    leading = np.flatnonzero(table.packet_notes & RASL)[0]
    key = int(np.flatnonzero(table.packet_is_keyframe[:leading])[-1])
    assert key > 0
    index = int(np.searchsorted(table.pts, table.packet_pts[leading]))
    start = float(table.timestamps[index])
    one = Parameters(start_seconds=start, end_seconds=start + 0.02)
    assert check(video, one) < 0.3
    kinds = [bytes(packet)[4] >> 1 & 63 for packet in packets_of(strip(video, one).content)]
    assert kinds[-2:] == [21, bytes(packets_of(video)[leading])[4] >> 1 & 63]
    assert len(kinds) > 8


@pytest.mark.parametrize("corner", ORIENTATIONS, ids=str)
def test_orientations(corner: tuple[int, ...]) -> None:
    video = encode(20, width=64, height=48, container="mov", display_matrix=matrix(*corner))
    check(video)
    content = strip(video).content
    with open_video(BytesIO(content)) as (container, stream):
        assert read_frame_table(container, stream).orientation == strip(video).table.orientation


@pytest.mark.parametrize("frames", [1, 2, 17, 500])
def test_numbers_of_frames(frames: int) -> None:
    check(encode(frames, width=64, height=48, options={"preset": "ultrafast", "bf": "2", "b-pyramid": "none"}))


@pytest.mark.parametrize(("width", "height"), [(65, 49), (63, 33)])
def test_odd_sizes(width: int, height: int) -> None:
    check(encode(30, width=width, height=height, pixel_format="yuv444p"))
    options = {"cpu-used": "8"}
    check(
        encode(
            30,
            width=width,
            height=height,
            codec="libvpx-vp9",
            container="webm",
            pixel_format="yuv444p",
            options=options,
        )
    )


def test_a_variable_rate() -> None:
    pts = [*range(0, 50), *range(50, 250, 10)]
    for container in ("mp4", "matroska"):
        check(encode(70, width=64, height=48, pts=pts, container=container, options={"g": "20"}))


def shifted(video: bytes, container: str, shift: int, **options: str) -> bytes:
    """The same packets, `shift` ticks later."""
    file = BytesIO()
    with (
        cast(InputContainer, av.open(BytesIO(video))) as source,
        av.open(file, "w", format=container, container_options=options) as target,
    ):
        written = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts = cast(int, packet.pts) + shift, cast(int, packet.dts) + shift
                packet.stream = written
                target.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(("seconds", "container"), [(-1, "mp4"), (3, "mp4"), (3, "matroska")])
def test_negative_and_late_starts(seconds: int, container: str) -> None:
    source = video_of("x264, groups of 20")
    with cast(InputContainer, av.open(BytesIO(source))) as opened:
        base = cast(Fraction, opened.streams.video[0].time_base)
    video = shifted(source, container, int(seconds / base), avoid_negative_ts="disabled")
    table = strip(video).table
    assert table.packet_pts is not None
    assert table.packet_pts[0] < 0 if seconds < 0 else table.timestamps[0] == pytest.approx(seconds, abs=0.1)
    check(video)


def with_edit_list(video: bytes, skipped_seconds: float) -> bytes:
    """An mp4 whose edit list begins later: the frames before are decoded and not shown."""
    place = video.index(b"elst")
    at = place + 16
    moved = bytearray(video)
    media_time = int.from_bytes(video[at : at + 4], "big")
    scale = int.from_bytes(video[video.index(b"mdhd") + 16 :][:4], "big")
    moved[at : at + 4] = (media_time + round(skipped_seconds * scale)).to_bytes(4, "big")
    return bytes(moved)


def test_an_edit_list_that_skips_frames() -> None:
    video = with_edit_list(video_of("x264, groups of 20"), 0.4)
    stripped = strip(video)
    assert stripped.table.info.frames == FRAMES - 10
    assert len(stripped.table.packet_is_keyframe) == FRAMES
    check(video)


def test_audio_and_other_videos_are_left_out() -> None:
    video = encode_several([Video(20, 64, 48), Video(30, 96, 64)], "mp4")
    stripped = strip(video)
    assert stripped.content
    with cast(InputContainer, av.open(BytesIO(stripped.content))) as container:
        assert len(container.streams) == 1
        assert (container.streams.video[0].width, container.streams.video[0].height) == (
            stripped.table.info.width,
            stripped.table.info.height,
        )


def test_hidden_frames_of_vp9_go_into_the_packet_of_the_next_shown_one() -> None:
    video = video_of("vp9, two passes")
    file = BytesIO()
    with (
        cast(InputContainer, av.open(BytesIO(video))) as source,
        av.open(file, "w", format="matroska", container_options={"fflags": "-autobsf"}) as target,
    ):
        written = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            parts = vp9_frames(bytes(packet)) if packet.size else []
            for part in parts:
                single = Packet(bytes(part))
                single.pts = single.dts = packet.pts
                single.time_base, single.is_keyframe = packet.time_base, packet.is_keyframe
                single.stream = written
                target.mux(single)
    hidden = file.getvalue()
    stripped = strip(hidden)
    assert len(stripped.table.packet_is_keyframe) == 66
    assert stripped.table.info.frames == 60
    check(hidden)
    check(hidden, PART)
    assert any(len(vp9_frames(bytes(packet))) == 2 for packet in packets_of(stripped.content))


def test_a_superframe_is_read_as_it_was_written() -> None:
    frames = [bytes([0x82]) * size for size in (3, 300, 70_000)]
    assert [bytes(frame) for frame in vp9_frames(superframe(frames))] == frames


def test_false_keyframe_flags_change_nothing() -> None:
    for kind, container in (("x264", "matroska"), ("vp9", "webm"), ("x265", "mp4")):
        check(flagged(video_of(kind), container), SPARSE)


def test_what_is_not_certain_is_not_stripped() -> None:
    interlaced = {"x264-params": "tff=1"}
    packed = encode(20, width=64, height=48, codec="mpeg4", container="avi", options={"bf": "2"})
    hidden = with_hidden_frames(video_of("vp8"), "webm", {5, 6, 25})
    for name, video in {
        "fields": encode(20, width=64, height=48, options=interlaced),
        "no timestamps, and reordered frames": packed,
        "hidden frames that cannot go into another packet": hidden,
        "a codec that is not known well enough": encode(20, codec="wmv2", container="asf"),
        "a stream that begins in the middle": cut(video_of("x264, intra refresh"), 5),
    }.items():
        assert strip(video).content == b"", name
        assert strip(video).indices == [], name


def cut(video: bytes, packets: int) -> bytes:
    """The video without its first packets."""
    file = BytesIO()
    with cast(InputContainer, av.open(BytesIO(video))) as source, av.open(file, "w", format="matroska") as target:
        written = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size and number >= packets:
                packet.stream = written
                target.mux(packet)
    return file.getvalue()


def test_frames_that_are_shown_again_are_left_to_ffmpeg() -> None:
    """NVDEC calls DALI for what it decodes, not for what it shows."""
    assert strip(video_of("av1"), Parameters(), Strip.WHERE_SAFE).content == b""
    assert strip(video_of("av1"), Parameters(), Strip.FOR_FFMPEG).content
    assert strip(video_of("av1"), Parameters(), Strip.NEVER).content == b""


def test_the_file_is_not_held_in_memory() -> None:
    video = encode(40, width=640, height=480, codec="mjpeg", container="mov")
    all_frames = Parameters(fps=25, max_frames=240)
    strip(video, all_frames)
    tracemalloc.start()
    stripped = strip(video, all_frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(stripped.content) > 500_000
    assert peak < len(stripped.content) + 200_000  # the file itself is read here only
