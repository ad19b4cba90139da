"""The clips of `watch` are those of the server: the same windows, the same frames, the same pixels."""

import gc
from fractions import Fraction
from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from hypothesis import given, settings
from hypothesis import strategies as st

from client._watch import windows as windows_module
from client._watch.picture import Preparation
from client._watch.windows import Clip, Windows
from client.errors import InvalidRequest
from fixtures.synthetic import encode
from tests.test_orientation import ORIENTATIONS, matrix
from video import Parameters
from video.decoding import _rgb
from video.duration import choose_duration, frames_duration
from video.orientation import displayed, orientation_of
from video.resize import crop
from video.sampling import camera_frame_indices, camera_windows

pytestmark = pytest.mark.heavy

TICK = 1 / 1000


def fed(windows: Windows, times: list[float], dropped: frozenset[int] = frozenset()) -> list[Clip]:
    """The clips that are complete before the end; picture N is the number N."""
    clips: list[Clip] = []
    for index, seconds in enumerate(times):
        more = windows.drop(seconds) if index in dropped else windows.add(seconds, np.array(index))
        clips += more
    return clips


def numbers(clip: Clip) -> list[int]:
    return cast("list[int]", clip.pictures.tolist())


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[float], float, list[float]]:
    """Times of frames, how long the last one is shown, and what the header states."""
    gaps = draw(st.lists(st.integers(1, draw(st.sampled_from([60, 900]))), min_size=1, max_size=60))
    start = draw(st.integers(0, 3_000_000))
    ticks = np.cumsum([start, *gaps]).tolist()
    stated = draw(st.sampled_from([[], [1.0], [(ticks[-1] - ticks[0] + gaps[-1]) * TICK]]))
    return [tick * TICK for tick in ticks], draw(st.sampled_from([0, 20, 40, 2000])) * TICK, stated


@settings(max_examples=100)
@given(streams(), st.sampled_from([0.1, 0.25, 0.48, 1.0, 2.0]), st.sampled_from([0.1, 0.25, 0.5, 1.0, 3.0]))
def test_windows_and_frames_are_those_of_the_server(
    stream: tuple[list[float], float, list[float]], clip_seconds: float, stride_seconds: float
) -> None:
    times, last_shown, stated = stream
    windows = Windows(clip_seconds, stride_seconds)
    clips = [*fed(windows, times), *windows.finish(last_shown, TICK, lambda _: stated)]

    timestamps = np.array(times)
    seconds = frames_duration(timestamps, last_shown, 0.0, TICK)
    duration = choose_duration(stated[0] if stated else None, seconds, len(times)).seconds
    parameters = Parameters(clip_seconds=clip_seconds, clip_stride_seconds=stride_seconds, max_clips=1_000_000)
    expected = camera_windows(times[0], duration, parameters)
    spans = np.array([(clip.start_seconds, clip.end_seconds) for clip in clips])
    assert spans.shape == expected.shape
    assert np.abs(spans - expected).max() < 1e-9
    for clip in clips:
        chosen = camera_frame_indices(timestamps, clip.start_seconds, clip.end_seconds)
        assert numbers(clip) == chosen.tolist()
    assert windows.seconds == pytest.approx(duration)


def test_a_clip_comes_as_soon_as_its_window_is_over() -> None:
    windows = Windows(1.0, 0.5)
    times = [index / 10 for index in range(16)]
    assert fed(windows, times[:10]) == []
    (clip,) = windows.add(times[10], np.array(10))
    assert (clip.start_seconds, clip.end_seconds) == (0.0, 1.0)
    assert numbers(clip) == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9]
    assert [clip for index in range(11, 15) for clip in windows.add(times[index], np.array(index))] == []
    (clip,) = windows.add(times[15], np.array(15))
    assert (clip.start_seconds, numbers(clip)[0], numbers(clip)[-1]) == (0.5, 5, 14)


def test_dropped_frames_are_not_in_a_clip_and_one_without_any_has_no_pictures() -> None:
    windows = Windows(0.5, 0.5)
    dropped = frozenset({1, 3, *range(5, 10)})
    clips = fed(windows, [index / 10 for index in range(16)], dropped)
    assert [len(clip.pictures) for clip in clips] == [16, 0, 16]
    assert set(numbers(clips[0])) == {0, 2, 4}
    assert set(numbers(clips[2])) == {10, 11, 12, 13, 14}


def test_the_buffer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(2.0, 2.0)
    fed(windows, [index / 25 for index in range(1000)])
    assert len(windows._pictures) <= 2 * 2.0 * 25
    monkeypatch.setattr(windows_module, "MAX_PICTURES", 30)
    with pytest.raises(InvalidRequest, match=r"a clip of 2 s has more than 30 frames.*clips shorter than 1\.2 s"):
        fed(Windows(2.0, 2.0), [index / 25 for index in range(60)])


def test_no_frames_make_no_clips() -> None:
    assert list(Windows(1.0, 1.0).finish(0.04, TICK, lambda _: [])) == []


@pytest.mark.parametrize("corner", ORIENTATIONS)
@pytest.mark.parametrize(("width", "height", "edge"), [(160, 120, 224), (98, 302, 256), (640, 270, 224)])
def test_pictures_are_those_of_the_server(corner: tuple[int, ...], width: int, height: int, edge: int) -> None:
    video = encode(1, width=width, height=height, display_matrix=matrix(*corner), options={"preset": "ultrafast"})
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        (frame,) = container.decode(video=0)
    expected = crop(displayed(_rgb(frame, VideoReformatter()), orientation_of(frame)), edge)
    prepare = Preparation(edge)
    assert np.array_equal(prepare(frame), expected)
    if corner != (1, 0, 0, 1):
        upright = crop(_rgb(frame, VideoReformatter()), edge)
        assert not np.array_equal(prepare(frame), upright)


def test_frames_do_not_wait_for_the_garbage_collector() -> None:
    video = encode(8, display_matrix=matrix(0, 1, -1, 0), options={"preset": "ultrafast"})
    prepare = Preparation(224)
    gc.collect()  # what earlier tests left
    gc.disable()
    try:
        with cast(InputContainer, av.open(BytesIO(video))) as container:
            for frame in container.decode(video=0):
                prepare(frame)
        del frame
        alive = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
        gc.collect()
        alive -= sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 1  # the first one


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv444p", "yuv420p10le"])
def test_colors_are_those_of_the_server(pixel_format: str) -> None:
    video = encode(1, pixel_format=pixel_format, rate=Fraction(25), options={"preset": "ultrafast"})
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        (frame,) = container.decode(video=0)
    assert np.array_equal(Preparation(224)(frame), crop(_rgb(frame, VideoReformatter()), 224))
