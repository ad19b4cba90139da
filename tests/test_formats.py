"""Every container and codec that is read: its frames, in the sandbox too, and whether a truncated file is noticed."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client._inputs.inputs import Inputs
from client._inputs.suffixes import SUFFIXES
from fixtures.hostile import SEEDS, THEORA, elements, seed
from fixtures.synthetic import decode_all, encode, encode_audio, picture
from fixtures.vc1 import wmv3, wvc1
from tests.fuzz import decode
from tests.test_decoding import clips, frame_table
from video import InvalidVideo, IsolatedDecoder, Limits
from video.endings import truncation
from video.errors import Reason
from video.formats import DECODERS, DEMUXERS, OTHER_CONTAINERS
from video.gpu_decoder import choose
from video.nvdec_capabilities import CODECS, capabilities

ADDED = [name for name in SEEDS if name.split()[0] not in ("mp4", "mkv", "webm")]
FRAMES = {"ogv theora": 20, "mov prores": 4, "mov dnxhd": 2, "ts hevc": 4}
"""Frames of the seeds that do not have 8."""
SMALL: dict[str, Any] = {"width": 64, "height": 48}


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=20))
    yield made
    made.close()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ("ts h264", "wmv wmv3", "gif") else pytest.mark.heavy) for name in ADDED],
)
def test_the_wanted_frames_arrive_in_the_sandbox_too(name: str, decoder: IsolatedDecoder) -> None:
    frames = FRAMES.get(name, 8)
    info = frame_table(seed(name)).info
    assert info.frames == frames
    assert info.duration_seconds == pytest.approx(frames / 25, abs=0.1)
    found, plain = clips(seed(name))
    assert np.array_equal(found, plain)
    assert np.array_equal(decode(decoder, seed(name)).reshape(found.shape), found)
    # Not one picture for all: the frames of these videos differ.
    assert len({frame.tobytes() for frame in found}) >= 2


@pytest.mark.heavy
def test_the_fuzzer_has_a_seed_for_every_demuxer_and_decoder(decoder: IsolatedDecoder) -> None:
    plans = [decoder.plan(memoryview(seed(name)), {}) for name in SEEDS]
    one_of = {"av1": "libdav1d", **dict.fromkeys(("mp4", "m4a", "3gp", "3g2", "mj2"), "mov"), "webm": "matroska"}
    assert {plan["decoder"] for plan in plans} == {one_of.get(name, name) for name in DECODERS}
    assert {plan["demuxer"] for plan in plans} == {one_of.get(name, name) for name in DEMUXERS}


def test_the_client_finds_every_container_in_folders(tmp_path: Path) -> None:
    suffixes = {f".{name.split()[0]}" for name in SEEDS}
    assert suffixes <= {*SUFFIXES}
    names = {f"a{suffix}" for suffix in suffixes} | {"B.TS", "c.Wmv"}
    for name in (*names, "d.mxf", "e.txt"):
        (tmp_path / name).touch()
    assert {Path(item.path).name for item in Inputs([str(tmp_path)], [])} == names


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(name: str, share: float) -> None:
    video = seed(name)
    cut = int(len(video) * share) // 188 * 188 + 77  # not between two packets
    with pytest.raises(InvalidVideo, match="truncated") as raised:
        frame_table(video[: min(cut, len(video) - 1)])
    assert raised.value.reason in (Reason.TRUNCATED, Reason.DAMAGED)


@pytest.mark.parametrize("name", ["ts h264", "m2ts mpeg2", "vob mpeg2", "flv sorenson"])
def test_a_file_that_ends_between_packets_looks_like_a_shorter_one(name: str) -> None:
    video = encode(40, **SMALL, **OF_STREAMS[name])
    whole = frame_table(video).info.frames
    middle = next(element.end for element in elements(video) if element.end > len(video) * 0.6)
    assert truncation(BytesIO(video[:middle])) is None
    assert 10 < frame_table(video[:middle]).info.frames < whole


OF_STREAMS: dict[str, dict[str, Any]] = {
    "ts h264": {"container": "mpegts", "options": {"preset": "ultrafast", "g": "5"}},
    "m2ts mpeg2": {"container": "mpegts", "codec": "mpeg2video", "container_options": {"mpegts_m2ts_mode": "1"}},
    "vob mpeg2": {"container": "vob", "codec": "mpeg2video", "options": {"b": "2000000", "minrate": "1000000"}},
    "flv sorenson": {"container": "flv", "codec": "flv"},
}


def without_last_tag_size() -> bytes:
    return seed("flv sorenson")[:-4]


def asf_without_sizes() -> bytes:
    """As a live recording is: the length of the data is not known when it begins."""
    video = bytearray(seed("wmv wmv2"))
    data = next(element for element in elements(bytes(video)) if element.kind.hex().startswith("3626b275"))
    video[data.start + 16 : data.start + 24] = bytes(8)
    return bytes(video)


def program_end() -> bytes:
    return seed("mpg mpeg1") + b"\0\0\1\xb9"


def ts_after_noise() -> bytes:
    """A recording that begins in the middle of a packet."""
    return encode(40, **SMALL, **OF_STREAMS["ts h264"])[100:]


@pytest.mark.parametrize(
    "make",
    [
        without_last_tag_size,
        asf_without_sizes,
        program_end,
        ts_after_noise,
        lambda: seed("mpg mpeg1") + bytes(700),
        lambda: seed("gif") + bytes(100),
        lambda: seed("wmv wmv1") + bytes(20),
    ],
)
def test_odd_endings_are_no_truncation(make: Callable[[], bytes]) -> None:
    assert truncation(BytesIO(make())) is None
    assert frame_table(make()).info.frames >= 6


def test_an_ogg_whose_last_page_does_not_end_its_stream_is_truncated() -> None:
    video = THEORA.read_bytes()
    last = [element.start for element in elements(video)][-1]
    with pytest.raises(InvalidVideo, match="the file is truncated: its last page does not end the stream"):
        frame_table(video[:last])


@pytest.mark.parametrize("length", [1, 13, 27, 100])
@pytest.mark.parametrize("name", ADDED)
def test_a_file_that_is_cut_after_its_first_bytes_gets_a_sentence(name: str, length: int) -> None:
    with pytest.raises(InvalidVideo) as raised:
        frame_table(seed(name)[:length])
    assert str(raised.value).isprintable()


def test_a_transport_stream_that_lost_a_packet_is_damaged() -> None:
    video = encode(40, **SMALL, **OF_STREAMS["ts h264"])
    middle = len(video) // 188 // 2 * 188
    with pytest.raises(InvalidVideo, match=r"reading stopped at frame \d+: the file is truncated or damaged"):
        frame_table(video[:middle] + video[middle + 188 :])


def gif(frames: int) -> bytes:
    return encode(frames, width=32, height=32, codec="gif", container="gif", pixel_format="rgb8")


def test_a_gif_of_one_picture_is_a_still_image() -> None:
    with pytest.raises(InvalidVideo, match=r"the file is a still image \(GIF\), not a video") as raised:
        frame_table(gif(1))
    assert raised.value.reason is Reason.NOT_A_VIDEO
    assert frame_table(gif(2)).info.frames == 2


def test_a_gif_keeps_its_delays() -> None:
    pts = [0, 5, 10, 60, 65]
    video = encode(5, width=32, height=32, codec="gif", container="gif", pixel_format="rgb8", pts=pts)
    assert np.allclose(frame_table(video).timestamps, np.array(pts) / 25, atol=0.011)


def test_theora_shows_the_pictures_that_were_encoded() -> None:
    for index, frame in enumerate(decode_all(THEORA.read_bytes())):
        assert np.abs(frame.astype(int) - picture(index, 64, 48)).mean() < 12


@pytest.mark.parametrize("make", [wmv3, wvc1])
def test_vc1_has_a_new_picture_in_four(make: Callable[[int], bytes]) -> None:
    frames = [frame.tobytes() for frame in decode_all(make(12))]
    assert len(frames) == 12
    assert [frames[index] == frames[index - 1] for index in range(1, 12)] == ([True] * 3 + [False]) * 2 + [True] * 3


def test_a_large_mp4_box_at_the_start_is_not_taken_for_a_stream() -> None:
    video = b"\0\0\0\1mdat" + (3000).to_bytes(8, "big") + bytes(2984) + b"\0\0\0\x10moov" + bytes(8)
    with pytest.raises(InvalidVideo) as raised:
        frame_table(video)
    assert "H.264" not in str(raised.value).split("(")[0]


OTHERS: dict[str, Callable[[], bytes]] = {
    "MXF": lambda: encode(10, codec="mpeg2video", container="mxf"),
    "NUT": lambda: encode(10, container="nut"),
    "IVF": lambda: encode(4, **SMALL, codec="libvpx", container="ivf"),
    "Flash (swf)": lambda: encode(10, codec="flv", container="swf"),
    "MPEG video without a container": lambda: encode(10, codec="mpeg2video", container="mpeg2video"),
    "H.264 or HEVC without a container": lambda: encode(10, container="h264"),
    "RealMedia": lambda: encode(10, width=176, height=144, codec="rv20", container="rm"),
    "YUV4MPEG2": lambda: b"YUV4MPEG2 W2 H2 F25:1\nFRAME\n" + bytes(6),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_containers_are_named(kind: str) -> None:
    assert kind in OTHER_CONTAINERS.values()
    with pytest.raises(InvalidVideo, match="not a video in a supported container") as raised:
        frame_table(OTHERS[kind]())
    assert str(raised.value).startswith(f"the file is {kind}, not a video in a supported container (mp4, mov, ")
    assert raised.value.reason is Reason.NOT_A_VIDEO


@pytest.mark.parametrize(
    ("codec", "container", "pixel_format"),
    [("ffv1", "matroska", None), ("rawvideo", "avi", None), ("flashsv", "flv", "bgr24"), ("qtrle", "mov", "rgb24")],
)
def test_other_codecs_are_named(codec: str, container: str, pixel_format: str | None) -> None:
    video = encode(4, **SMALL, codec=codec, container=container, pixel_format=pixel_format)
    with pytest.raises(InvalidVideo, match=f"the video's codec is {codec}; supported codecs are H.264, HEVC, "):
        frame_table(video)


def test_audio_in_a_new_container_has_no_video_stream() -> None:
    for container in ("mpegts", "asf", "flv"):
        with pytest.raises(InvalidVideo, match="the video has no video stream"):
            frame_table(encode_audio(container))


@pytest.mark.heavy
@pytest.mark.parametrize("name", SEEDS)
def test_nvdec_gets_what_it_reads_in_whatever_container_and_ffmpeg_the_rest(
    name: str, decoder: IsolatedDecoder
) -> None:
    plan = decoder.plan(memoryview(seed(name)), {})
    decoder_of_all = capabilities(",".join({*CODECS.values()}))
    choice = choose(plan, len(seed(name)), decoder_of_all, decoder.limits, 10**9)
    if plan["decoder"] not in CODECS:
        assert choice[0] == "ffmpeg"
        assert str(choice.why_not_nvdec).startswith(f"NVDEC does not read {plan['decoder']} ")
    elif plan["pixel_format"] not in ("yuv420p", "yuvj420p"):
        assert choice[0] == "ffmpeg"
        assert str(choice.why_not_nvdec).startswith("NVDEC does not read ")
    elif plan["full_range"]:
        assert choice == ("ffmpeg", f"DALI may convert its colors ({plan['pixel_format']}, full range) otherwise")
    elif plan["stripped_indices"]:
        assert choice == ("nvdec", None)
    else:
        assert choice == ("ffmpeg", "the file cannot be stripped for certain")
