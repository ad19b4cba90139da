"""Containers and frames: what is decided from packets, and whether the decoded frames are the requested ones."""

import dataclasses
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from fixtures.remuxed import flagged, piped, with_hidden_frames
from fixtures.rendered import encode_pictures
from fixtures.synthetic import decode_all, encode, picture, same_scheduling_policy
from video import InvalidParameter, InvalidVideo, Parameters, decoding, sample
from video.container import FrameTable, open_video, read_frame_table
from video.decoding import decode
from video.resize import crop, stretch
from video.skipping import packet_uses

FORMATS = [
    ("libx264", "mp4"),
    ("libx264", "mov"),
    ("libx264", "matroska"),
    ("libx264", "avi"),
    ("libx265", "mp4"),
    ("libvpx-vp9", "webm"),
    ("libvpx", "webm"),
    ("libsvtav1", "mp4"),
    ("mpeg4", "avi"),
    ("mpeg4", "mp4"),
    ("mjpeg", "avi"),
    ("mjpeg", "mov"),
]


def frame_table(video: bytes) -> FrameTable:
    with open_video(BytesIO(video)) as (container, stream):
        return read_frame_table(container, stream)


def clips(video: bytes, parameters: Parameters | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The clips of `decode`, and the same clips picked from all frames of the video."""
    table = frame_table(video)
    sampling = sample(table.timestamps, table.info.duration_seconds, parameters or Parameters())
    motion, camera = sampling.motion_order, sampling.camera_order
    out = np.zeros((len(motion) + len(camera), 224, 224, 3), np.uint8)
    decode(BytesIO(video), sampling.frame_indices, motion, camera, 224, out)
    every = decode_all(video)
    frames = [every[index] for index in sampling.frame_indices]
    plain = [*(stretch(frames[place]) for place in motion), *(crop(frames[place], 224) for place in camera)]
    return out, np.stack(plain)


@pytest.mark.parametrize(
    ("codec", "container"),
    [pytest.param(*pair, marks=() if pair[0] in ("libx264", "mjpeg") else pytest.mark.heavy) for pair in FORMATS],
)
def test_the_wanted_frames_arrive_in_every_format(codec: str, container: str) -> None:
    video = encode(75, codec=codec, container=container)
    info = frame_table(video).info
    assert (info.frames, info.width, info.height) == (75, 160, 120)
    assert info.frames_per_second == pytest.approx(25, rel=0.02)
    assert info.duration_seconds == pytest.approx(3.0, abs=0.1)
    found, plain = clips(video)
    assert np.array_equal(found, plain)


@pytest.mark.parametrize(
    ("width", "height"), [(426, 240), (64, 360), (16, 16), pytest.param(1280, 720, marks=pytest.mark.slow)]
)
def test_sizes(width: int, height: int) -> None:
    found, plain = clips(encode(30, width=width, height=height))
    assert np.array_equal(found, plain)


def test_odd_sizes() -> None:
    video = encode(30, width=427, height=241, pixel_format="yuv444p")
    assert frame_table(video).info.width == 427
    found, plain = clips(video)
    assert np.array_equal(found, plain)


def test_a_variable_frame_rate_is_sampled_by_timestamps() -> None:
    pts = [*range(0, 50), *range(50, 250, 10)]
    video = encode(70, pts=pts, container="matroska")
    table = frame_table(video)
    assert np.allclose(table.timestamps, np.array(pts) / 25, atol=1e-3)
    found, plain = clips(video)
    assert np.array_equal(found, plain)


def test_reordered_frames_are_counted_as_they_are_shown() -> None:
    video = encode(75, options={"bf": "3", "g": "250", "x264-params": "b-pyramid=normal"})
    assert np.allclose(np.diff(frame_table(video).timestamps), 0.04)
    found, plain = clips(video)
    assert np.array_equal(found, plain)


SPARSE = Parameters(fps=0.5, max_clips=1)
PART = Parameters(start_seconds=4.0, end_seconds=7.0)
X265 = {"preset": "ultrafast"}
VPX = {"cpu-used": "5", "deadline": "good"}  # the fastest with hidden frames
GROUPS_OF_PICTURES = {
    "h264": ("libx264", "mp4", {"g": "20", "bf": "3", "x264-params": "b-pyramid=normal"}),
    "h264, open": ("libx264", "matroska", {"g": "20", "bf": "3", "x264-params": "open-gop=1"}),
    "h264, one keyframe": ("libx264", "mp4", {"g": "1000", "bf": "3"}),
    "h264, two fields": ("libx264", "mp4", {"g": "20", "bf": "3", "x264-params": "tff=1"}),
    "h264, slices": ("libx264", "mp4", {"g": "20", "bf": "3", "x264-params": "slices=4"}),
    "hevc": ("libx265", "mp4", X265 | {"x265-params": "keyint=20:open-gop=0:log-level=1"}),
    "hevc, open": ("libx265", "mp4", X265 | {"x265-params": "keyint=20:min-keyint=20:open-gop=1:log-level=1"}),
    "hevc, layers": ("libx265", "mp4", X265 | {"x265-params": "keyint=20:temporal-layers=3:log-level=1"}),
    "vp8": ("libvpx", "webm", VPX | {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "vp9": ("libvpx-vp9", "webm", VPX | {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "av1": ("libsvtav1", "mp4", {"g": "20", "preset": "12"}),
    "mpeg4": ("mpeg4", "mp4", {"g": "20", "bf": "2"}),
    "mjpeg": ("mjpeg", "mov", {}),
}


@cache
def grouped(kind: str) -> bytes:
    """A video of this kind, encoded once for all tests."""
    codec, container, options = GROUPS_OF_PICTURES[kind]
    return encode(240, width=64, height=48, codec=codec, container=container, options=options)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(SPARSE, marks=pytest.mark.slow, id="sparse"),
        pytest.param(PART, id="part"),
        pytest.param(Parameters(), marks=pytest.mark.slow, id="all"),
    ],
)
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if "h264" in kind else pytest.mark.heavy) for kind in GROUPS_OF_PICTURES]
)
def test_what_is_not_decoded_is_not_missed(kind: str, wanted: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_back(*arguments: object) -> None:
        raise AssertionError("a wanted frame is missing")

    monkeypatch.setattr(decoding, "_place_or_repeat_frames", fall_back)
    found, plain = clips(grouped(kind), wanted)
    assert np.array_equal(found, plain)


@pytest.mark.heavy
def test_a_picture_that_is_refreshed_in_stripes_is_decoded_from_its_true_beginning() -> None:
    """Keyframes are marked before the picture is complete; frames decoded from those alone are not used."""
    options = {"g": "20", "x264-params": "intra-refresh=1:bframes=0"}
    found, plain = clips(encode(240, container="matroska", options=options), PART)
    assert np.array_equal(found, plain)


SECOND_GROUP = Parameters(start_seconds=3.0, end_seconds=4.0)
"""Frames 75 to 99, of the group that begins with frame 50."""


def two_groups(codec: str, container: str) -> bytes:
    of_codec = {
        "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
        "libx265": X265 | {"x265-params": "open-gop=0:log-level=1"},
    }
    options = {"g": "50"} | of_codec.get(codec, {})
    return encode(100, width=64, height=48, codec=codec, container=container, options=options)


@pytest.mark.heavy
@pytest.mark.parametrize("keyframes", [None, (0, 7, 60, 75), ()], ids=["all", "some", "none"])
@pytest.mark.parametrize(
    "codec", ["mpeg4", *(pytest.param(codec, marks=pytest.mark.heavy) for codec in ("libx264", "libvpx-vp9"))]
)
def test_false_keyframe_flags_change_nothing(codec: str, keyframes: tuple[int, ...] | None) -> None:
    video = two_groups(codec, "mp4")
    _, plain = clips(video, SECOND_GROUP)
    found, _ = clips(flagged(video, "mp4", keyframes), SECOND_GROUP)
    assert np.array_equal(found, plain)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in GROUPS_OF_PICTURES if kind not in ("av1", "mjpeg")])
def test_false_keyframe_flags_change_nothing_however_frames_refer_to_each_other(kind: str) -> None:
    expected, _ = clips(grouped(kind), PART)
    found, _ = clips(flagged(grouped(kind), "matroska" if kind == "vp8" else "mp4"), PART)
    assert np.array_equal(found, expected)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "codec", ["mpeg4", "libx264", *(pytest.param(codec, marks=pytest.mark.slow) for codec in ("libx265", "libsvtav1"))]
)
def test_an_mp4_without_a_table_of_keyframes_is_decoded_from_the_true_ones(codec: str) -> None:
    """Every frame then counts as a keyframe."""
    video = two_groups(codec, "mp4")
    assert video.count(b"stss") == 1
    changed = video.replace(b"stss", b"free")
    assert np.flatnonzero(frame_table(changed).packet_is_keyframe).tolist() == [0, 50]
    _, plain = clips(video, SECOND_GROUP)
    found, _ = clips(changed, SECOND_GROUP)
    assert np.array_equal(found, plain)


def frames_decoded(video: bytes, parameters: Parameters) -> tuple[int, int]:
    """The number of frames that the decoder returns, and the number of wanted frames."""
    table = frame_table(video)
    wanted = sample(table.timestamps, table.info.duration_seconds, parameters).frame_indices
    assert table.pts is not None
    assert table.packet_pts is not None
    uses = packet_uses(table.packet_pts, table.packet_is_keyframe, table.pts[wanted])
    with open_video(BytesIO(video)) as (container, stream):
        return sum(1 for _ in decoding._frames_of(container, stream, table, decoding.Decoded(), uses)), len(wanted)


def test_groups_of_pictures_without_wanted_frames_are_not_decoded() -> None:
    video = encode(240, options={"g": "20", "bf": "0"})
    decoded, _ = frames_decoded(video, PART)
    assert decoded == 75  # from the keyframe at 100 to the last wanted at 174


def test_frames_that_nothing_refers_to_are_not_decoded() -> None:
    video = encode(240, options={"g": "240", "bf": "3", "x264-params": "b-adapt=0:b-pyramid=none"})
    decoded, wanted = frames_decoded(video, Parameters(fps=1, max_clips=1))
    assert wanted == 31
    assert decoded < 110  # 60 of 240 frames are referred to


def test_which_packets_are_of_use() -> None:
    # Decoding order; groups begin at packets 0, 3 and 6; packet 7 is shown before its group's keyframe.
    pts = np.array([0, 2, 1, 3, 5, 4, 9, 7, 8, 10])
    keyframes = np.array([1, 0, 0, 1, 0, 0, 1, 0, 0, 0], bool)
    assert packet_uses(pts, keyframes, np.array([4])).tolist() == [0, 0, 0, 1, 1, 2, 0, 0, 0, 0]
    assert packet_uses(pts, keyframes, np.array([7])).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 0, 0]
    assert packet_uses(pts, keyframes, np.array([0, 10])).tolist() == [2, 0, 0, 0, 0, 0, 1, 1, 1, 2]
    assert packet_uses(pts, np.zeros(10, bool), np.array([1])).tolist() == [1, 1, 2, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("frames", [[], [3, 3], [5, 4], [-1, 4], [4, 30]])
def test_frames_that_a_video_does_not_have_in_that_order_are_refused(frames: list[int]) -> None:
    out = np.zeros((0, 224, 224, 3), np.uint8)
    nowhere = np.array([], int)
    with pytest.raises(InvalidParameter, match="frame indices must be ascending, from 0 to 29"):
        decode(BytesIO(encode(30)), np.array(frames, int), nowhere, nowhere, 224, out)


@pytest.mark.heavy
def test_a_part_in_the_middle() -> None:
    found, plain = clips(encode(250), Parameters(start_seconds=4.0, end_seconds=7.0))
    assert np.array_equal(found, plain)


def test_ntsc_rates_keep_their_duration() -> None:
    info = frame_table(encode(120, rate=Fraction(30000, 1001))).info
    assert info.duration_seconds == pytest.approx(4.004)


def test_a_damaged_packet_costs_its_frame_only() -> None:
    video = encode(50, codec="mjpeg", container="mov")
    whole = decode_all(video)
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][20]
    assert packet.pos is not None
    video = video[: packet.pos] + bytes(packet.size) + video[packet.pos + packet.size :]
    wanted = np.array([10, 30])
    out = np.zeros((2, 224, 224, 3), np.uint8)
    decode(BytesIO(video), wanted, np.array([0, 1]), np.array([], int), 224, out)
    assert np.array_equal(out, np.stack([stretch(whole[10]), stretch(whole[30])]))
    with pytest.raises(InvalidVideo, match="frame 20 of 50 cannot be decoded"):
        decode(BytesIO(video), np.array([20]), np.array([0]), np.array([], int), 224, out[:1])


def test_metadata_in_an_old_encoding_is_no_damage() -> None:
    video = encode(30, metadata={"title": "caf_"}).replace(b"caf_", b"caf\xe9")
    assert b"caf\xe9" in video
    assert frame_table(video).info.frames == 30


def trimmed(video: bytes, *, start: int, frames: int) -> bytes:
    """A mp4 without reordered frames whose edit list shows `frames` frames from frame `start` on."""
    content = bytearray(video)
    entry = content.index(b"elst") + 12
    length, media_time = (int.from_bytes(content[place : place + 4], "big") for place in (entry, entry + 4))
    content[entry : entry + 4] = (length * frames // 100).to_bytes(4, "big")
    content[entry + 4 : entry + 8] = (media_time + start * 512).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.heavy
@pytest.mark.parametrize(("start", "frames"), [(0, 50), (24, 50), (24, 76)])
def test_frames_that_an_edit_list_cuts_off_are_ignored(start: int, frames: int) -> None:
    video = encode(100, options={"bf": "0", "g": "12"})
    table = frame_table(trimmed(video, start=start, frames=frames))
    assert table.info.frames == pytest.approx(frames, abs=1)
    found, plain = clips(trimmed(video, start=start, frames=frames))
    assert np.array_equal(found, plain)


@pytest.mark.heavy
@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", pytest.param("webm", marks=pytest.mark.heavy), "avi"])
@pytest.mark.parametrize("share", [0.3, pytest.param(0.6, marks=pytest.mark.slow), 0.99])
def test_a_file_that_was_cut_off_is_refused_and_not_scored_by_halves(container: str, share: float) -> None:
    video = encode(100, codec="libvpx" if container == "webm" else "libx264", container=container)
    assert frame_table(video).info.frames == 100
    with pytest.raises(InvalidVideo, match="truncated"):
        frame_table(video[: int(len(video) * share)])


def test_a_live_recording_without_sizes_is_read() -> None:
    video = encode(60, container="matroska", container_options={"live": "1"})
    assert frame_table(video).info.frames == 60


@pytest.mark.heavy
@pytest.mark.parametrize("size", [bytes(4), b"\xff" * 4])
def test_an_avi_that_was_written_to_a_pipe_is_read(size: bytes) -> None:
    video = encode(60, codec="mpeg4", container="avi")
    pipe = piped(video, "avi")
    assert pipe[4:8] == b"\xff" * 4
    pipe = pipe[:4] + size + pipe[8:]
    assert frame_table(pipe).info == frame_table(video).info
    found, plain = clips(pipe)
    assert np.array_equal(found, plain)
    assert np.array_equal(found, clips(video)[0])


def test_an_avi_that_was_cut_off_in_a_pipe_is_refused_with_a_sentence_that_names_its_frames() -> None:
    pipe = piped(encode(60, codec="mpeg4", container="avi"), "avi")
    with pytest.raises(InvalidVideo, match=r"reading stopped at frame \d\d: the file is truncated or damaged"):
        frame_table(pipe[: len(pipe) // 2])


def test_a_matroska_file_that_was_written_to_a_pipe_is_read() -> None:
    info = frame_table(piped(encode(60, container="matroska"), "matroska")).info
    assert info.frames == 60
    assert info.duration_seconds == pytest.approx(2.4, abs=0.05)


@pytest.mark.heavy
@pytest.mark.parametrize("container", ["webm", "avi"])
def test_hidden_frames_are_not_counted(container: str) -> None:
    fast = {"g": "20", "cpu-used": "8", "deadline": "realtime"}
    video = encode(60, codec="libvpx", container=container, width=64, height=48, options=fast)
    hidden = with_hidden_frames(video, container, {5, 6, 20, 41, 58})
    assert len(decode_all(hidden)) == 55
    table = frame_table(hidden)
    assert table.info.frames == len(table.timestamps) == 55
    found, plain = clips(hidden)
    assert np.array_equal(found, plain)
    for parameters in (Parameters(start_seconds=1.0), Parameters(fps=1, max_clips=1)):
        found, plain = clips(hidden, parameters)
        assert np.array_equal(found, plain)


def av1_in_single_frames() -> bytes:
    """24 shown frames of AV1, and hidden ones in packets of their own."""
    file = BytesIO()
    with same_scheduling_policy(), av.open(file, "w", format="matroska") as output:
        stream = cast(av.VideoStream, output.add_stream("libsvtav1", rate=25, options={"preset": "12", "g": "16"}))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        split = BitStreamFilterContext("av1_frame_split", stream)
        frames = [av.VideoFrame.from_ndarray(picture(index, 64, 64), format="rgb24") for index in range(24)]
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, 25)
        for frame_or_end in [*frames, None]:
            for packet in stream.encode(frame_or_end):
                for part in split.filter(packet):
                    part.stream = stream
                    output.mux(part)
    return file.getvalue()


def test_hidden_frames_of_av1_are_not_counted() -> None:
    video = av1_in_single_frames()
    table = frame_table(video)
    assert len(table.packet_is_keyframe) > table.info.frames == len(decode_all(video)) == 24
    for parameters in (Parameters(), Parameters(start_seconds=0.7)):
        found, plain = clips(video, parameters)
        assert np.array_equal(found, plain)


@pytest.mark.parametrize("container", ["matroska", "mp4", "webm"])
def test_a_video_that_does_not_start_at_zero_has_its_own_duration(container: str) -> None:
    codec = "libvpx" if container == "webm" else "libx264"
    video = encode(50, container=container, codec=codec, pts=list(range(50, 100)))
    table = frame_table(video)
    assert table.info.duration_seconds == pytest.approx(2.0, abs=0.05)
    found, plain = clips(video)
    assert len(found) == 32  # one segment, one clip
    assert np.array_equal(found, plain)


def cut_at_second_keyframe(video: bytes) -> bytes:
    """A stream copy, as scene splitters make it."""
    file = BytesIO()
    with cast(InputContainer, av.open(BytesIO(video))) as source, av.open(file, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        keyframes = 0
        for packet in source.demux(video=0):
            keyframes += packet.is_keyframe
            if packet.size and keyframes >= 2:
                packet.stream = stream
                target.mux(packet)
    return file.getvalue()


@pytest.mark.heavy
def test_frames_that_a_cut_made_undecodable_are_not_counted() -> None:
    options = X265 | {"x265-params": "open-gop=1:keyint=24:min-keyint=24:bframes=4:scenecut=0:log-level=1"}
    video = cut_at_second_keyframe(encode(100, codec="libx265", container="matroska", options=options))
    shown = len(decode_all(video))
    assert 60 < shown < 80
    assert frame_table(video).info.frames == shown
    found, plain = clips(video)
    assert np.array_equal(found, plain)


def test_a_frame_that_is_not_shown_repeats_the_one_on_the_screen() -> None:
    """The container lists the frame, but the decoder returns nothing for its packet."""
    video = encode(50)
    with open_video(BytesIO(video)) as (container, stream):
        table = read_frame_table(container, stream)
    doubled = np.insert(table.timestamps, 20, table.timestamps[20] - 0.02)
    assert np.all(np.diff(doubled) > 0)
    assert table.pts is not None
    extra = dataclasses.replace(
        table, pts=np.insert(table.pts, 20, table.pts[20] - 1), info=dataclasses.replace(table.info, frames=51)
    )
    out = np.zeros((1, 224, 224, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("video.decoding.read_frame_table", lambda *_, **__: extra)
        decode(BytesIO(video), np.array([20]), np.array([0]), np.array([], int), 224, out)
    assert np.array_equal(out[0], stretch(decode_all(video)[19]))


@pytest.mark.heavy
def test_a_frame_too_large_to_read_is_refused_by_its_size() -> None:
    black = np.zeros((2304, 16384, 3), np.uint8)
    video = encode_pictures([black], codec="mjpeg", container="mov", options={"strict": "unofficial"})
    with pytest.raises(InvalidVideo, match=r"the video has 16384 x 2304 pixels; the maximum is 35651584 pixels"):
        frame_table(video)


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.mp4").write_bytes(encode(30))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{tmp_path}/real.mp4\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {tmp_path}/real.mp4\n"
    for text in (playlist, concat):
        with pytest.raises(InvalidVideo, match="is not a video in a supported container"):
            frame_table(text.encode())
