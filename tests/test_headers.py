"""Files whose headers are wrong about the time: sampled and scored as the same frames with a right header."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer

from client import Client
from fixtures import headers
from fixtures.synthetic import encode
from video import Parameters, Sampling, sample
from video.container import FrameTable, open_video, read_frame_table

FRAMES, RATE = 199, 24
SECONDS = FRAMES / RATE
UNITS = 12288
"""Of a second, in the mp4 files that FFmpeg writes for this rate."""
FAST = {"preset": "ultrafast", "g": "48"}


@cache
def right(kind: str) -> bytes:
    """A video of `SECONDS` whose header says so."""
    container, _, how = kind.partition(" ")
    return encode(
        FRAMES,
        width=64,
        height=48,
        rate=RATE,
        codec="mpeg4" if container == "avi" else "libx264",
        container=container,
        options={} if container == "avi" else FAST,
        container_options={
            "fragments": {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
            "live": {"live": "1"},
        }.get(how),
    )


@dataclass(frozen=True)
class Lie:
    """A file with a wrong header."""

    kind: str
    """Of `right`: the same frames with a right header."""
    wrong: Callable[[bytes], bytes]
    """Makes the header wrong."""
    header: float | None
    """The duration that the answer says the header has; None where FFmpeg itself sees that it is wrong."""


LIES = {
    "media header a 30th": Lie("mp4", lambda v: headers.with_mp4_durations(v, SECONDS / 30, ("mdhd",)), SECONDS / 30),
    "movie header a 30th": Lie("mp4", lambda v: headers.with_mp4_durations(v, SECONDS / 30, ("mvhd",)), None),
    "one frame's": Lie("mp4", lambda v: headers.with_mp4_durations(v, 1 / RATE), 1 / RATE),
    "half": Lie("mp4", lambda v: headers.with_mp4_durations(v, 4.0), 4.0),
    "an hour": Lie("mp4", lambda v: headers.with_mp4_durations(v, 3600), None),
    "an hour for the last frame": Lie(
        "mp4", lambda v: headers.with_last_frame_shown(headers.with_mp4_durations(v, 3608.25), 3600 * UNITS), None
    ),
    "fragments, an hour": Lie("mp4 fragments", lambda v: headers.with_mp4_durations(v, 3600), 3600),
    "fragments, one frame's": Lie("mp4 fragments", lambda v: headers.with_mp4_durations(v, 1 / RATE), None),
    "mov, a 30th": Lie("mov", lambda v: headers.with_mp4_durations(v, SECONDS / 30), SECONDS / 30),
    "mkv, a 30th": Lie("matroska", lambda v: headers.with_mkv_duration(v, SECONDS / 30), SECONDS / 30),
    "mkv, an hour": Lie("matroska", lambda v: headers.with_mkv_duration(v, 3600), 3600),
    "mkv, 1000 frames per second": Lie("matroska", lambda v: headers.with_mkv_frame_seconds(v, 1 / 1000), None),
    "mkv, 2 frames per second": Lie("matroska", lambda v: headers.with_mkv_frame_seconds(v, 1 / 2), None),
    "mkv, none": Lie("matroska live", lambda v: v, None),
    "avi, 7 frames": Lie("avi", lambda v: headers.with_avi_frames(v, 7), 7 / RATE),
    "avi, 86,400 frames": Lie("avi", lambda v: headers.with_avi_frames(v, 86_400), 3600),
    "avi, no number of frames": Lie("avi", lambda v: headers.with_avi_frames(v, 0), None),
}


def read(video: bytes, parameters: Parameters | None = None) -> tuple[FrameTable, Sampling]:
    with open_video(BytesIO(video)) as (container, stream):
        table = read_frame_table(container, stream)
    return table, sample(table.timestamps, table.info.duration_seconds, parameters or Parameters())


def assert_same(found: Sampling, expected: Sampling) -> None:
    assert np.array_equal(found.frame_indices, expected.frame_indices)
    assert np.array_equal(found.motion_order, expected.motion_order)
    assert np.array_equal(found.camera_order, expected.camera_order)
    np.testing.assert_allclose(found.clip_seconds, expected.clip_seconds, atol=0.002)


@pytest.mark.parametrize("name", LIES)
def test_the_frames_count_and_not_the_header(name: str) -> None:
    lie = LIES[name]
    wrong = lie.wrong(right(lie.kind))
    assert (wrong == right(lie.kind)) == (name == "mkv, none")
    table, sampling = read(wrong)
    assert table.info.duration_seconds == pytest.approx(SECONDS, abs=0.001)
    assert table.info.frames_per_second == pytest.approx(RATE, rel=0.001)
    assert table.info.frames == FRAMES
    assert len(sampling.clip_seconds) == 4
    assert_same(sampling, read(right("mp4"))[1])
    assert table.header_duration_seconds == (None if lie.header is None else pytest.approx(lie.header, abs=0.001))


@pytest.mark.parametrize("kind", ["mp4", "mp4 fragments", "mov", "matroska", "avi"])
def test_a_right_header_counts_and_is_not_mentioned(kind: str) -> None:
    table, _ = read(right(kind))
    assert table.info.duration_seconds == pytest.approx(SECONDS, abs=0.0004)
    assert table.header_duration_seconds is None


def test_a_header_that_differs_a_little_counts_and_is_mentioned() -> None:
    """8 s in the header and 7.96 s in the frames: a second more for the motion rule, and the answer says why."""
    video = headers.with_mkv_duration(encode(199, width=64, height=48, options=FAST, container="matroska"), 8.0)
    table, _ = read(video)
    assert table.timestamps[-1] == pytest.approx(7.92)
    assert table.info.duration_seconds == 8.0
    assert table.header_duration_seconds == 8.0


def test_a_part_that_an_edit_list_selects_has_its_own_duration() -> None:
    video = encode(FRAMES, width=64, height=48, rate=RATE, options={"preset": "ultrafast", "bf": "2", "g": "24"})
    table, _ = read(headers.with_edit(video, UNITS // 12 + 2 * UNITS, 3000))
    assert table.info.frames == 3 * RATE
    assert table.info.duration_seconds == pytest.approx(3.0)
    assert table.header_duration_seconds is None


def test_a_container_that_counts_from_its_own_zero_agrees() -> None:
    pts = list(range(600 * RATE, 600 * RATE + FRAMES))
    video = encode(FRAMES, width=64, height=48, rate=RATE, pts=pts, options=FAST, container="matroska")
    table, _ = read(video)
    assert table.timestamps[0] == 600.0
    assert table.info.duration_seconds == pytest.approx(SECONDS, abs=0.001)
    assert table.header_duration_seconds is None


def test_audio_that_is_longer_than_the_video_says_nothing_about_it() -> None:
    file = BytesIO()
    source = cast(InputContainer, av.open(BytesIO(right("matroska"))))
    with source, av.open(file, "w", format="matroska") as output:
        video, audio = output.add_stream_from_template(source.streams.video[0]), output.add_stream("aac", rate=8000)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 12 * 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        output.mux([*audio.encode(silence), *audio.encode(None)])
    with cast(InputContainer, av.open(BytesIO(file.getvalue()))) as container:
        assert container.duration is not None
        assert container.duration / av.time_base > 11.5
    table, _ = read(file.getvalue())
    assert table.info.duration_seconds == pytest.approx(SECONDS, abs=0.001)
    assert table.header_duration_seconds is None


def test_a_part_ends_where_the_frames_end() -> None:
    lie = LIES["fragments, an hour"]
    part = Parameters(start_seconds=4.0)
    assert_same(read(lie.wrong(right(lie.kind)), part)[1], read(right("mp4"), part)[1])


def test_the_server_says_what_the_header_says(client: Client) -> None:
    true = client.score(right("mp4"))
    assert true.info.header_duration_seconds is None
    assert "header_duration_seconds" not in true.as_dict()["info"]
    for name in ("one frame's", "media header a 30th"):
        wrong = client.score(LIES[name].wrong(right("mp4")))
        assert (wrong.motion, wrong.camera) == (true.motion, true.camera)
        assert wrong.info.duration_seconds == true.info.duration_seconds == pytest.approx(SECONDS, abs=1e-6)
        assert wrong.as_dict()["info"]["header_duration_seconds"] == pytest.approx(LIES[name].header, abs=1e-3)
