"""The duration and the frame rate of a video, from its timestamps and what its header states."""

import numpy as np
import pytest

from video.duration import agrees, choose_duration, frame_rate, frames_duration


def at(frames: int, rate: float, tick: float = 1e-5) -> np.ndarray:
    """Timestamps of a constant frame rate in whole ticks."""
    return np.round(np.arange(frames) / rate / tick) * tick


@pytest.mark.parametrize(
    ("frames", "rate", "tick", "packet", "expected"),
    [
        (199, 24, 1e-5, 1 / 24, 199 / 24),
        (199, 24, 1e-5, 0.0, 199 / 24),  # the packet does not say
        (199, 24, 1e-5, 1e-5, 199 / 24),  # far too short: a recorder did not know when to stop
        (199, 24, 1e-5, 3600.0, 199 / 24),  # far too long
        (240, 24, 1e-3, 0.041, 10.0),  # in whole milliseconds, 9.999 s
        (239, 24, 1e-3, 0.041, 9.958),
        (239, 24, 1 / 24, 1 / 24, 239 / 24),  # ticks as long as frames are exact
        (1, 24, 1e-5, 5.0, 5.0),
        (1, 24, 1e-5, 0.0, 1 / 24),
    ],
)
def test_the_last_frame_lasts_about_as_long_as_the_others(
    frames: int, rate: float, tick: float, packet: float, expected: float
) -> None:
    assert frames_duration(at(frames, rate, tick), packet, rate, tick) == pytest.approx(expected, abs=2e-5)


def test_a_last_frame_may_last_as_long_as_the_longest_gap_but_no_longer() -> None:
    timestamps = np.array([0.0, 1.0, 2.0, 3.0, 7.0])
    assert frames_duration(timestamps, 3.5, 1.0, 1e-3) == 10.5
    assert frames_duration(timestamps, 9.0, 1.0, 1e-3) == 11.0


@pytest.mark.parametrize(
    ("header", "frames_seconds", "frames", "expected"),
    [
        (8.0, 8.0, 200, True),
        (8.0, 7.96, 199, True),
        (8.5, 8.0, 200, True),
        (8.6, 8.0, 200, False),
        (0.04, 8.0, 200, False),
        (3600.0, 8.0, 200, False),
        (4.0, 5.0, 5, True),  # one frame of a slow video
        (3.4, 5.0, 5, False),
        (1.0, 2.0, 2, False),  # its last frame would be in no clip
        (0.2, 0.4, 10, False),
        (0.36, 0.4, 10, True),
        (0.04, 0.0, 1, False),
    ],
)
def test_a_header_agrees_within_half_a_second_or_a_frame_and_a_half_but_never_a_quarter(
    header: float, frames_seconds: float, frames: int, expected: bool
) -> None:
    assert agrees(header, frames_seconds, frames) is expected


def test_a_header_counts_where_it_agrees_and_is_named_where_it_differs() -> None:
    def chosen(header: float | None) -> tuple[float, float | None]:
        duration = choose_duration(header, 8.0, 200)
        return duration.seconds, duration.header_seconds

    assert chosen(None) == (8.0, None)
    assert chosen(8.0004) == (8.0004, None)
    assert chosen(8.019) == (8.019, None)
    assert chosen(7.96) == (7.96, 7.96)
    assert chosen(0.27) == (8.0, 0.27)
    assert chosen(3600.0) == (8.0, 3600.0)


def test_a_header_counts_where_there_is_nothing_else() -> None:
    assert choose_duration(5.0, 0.0, 1).seconds == 5.0


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(24.0, 24.0), (24000 / 1001, 24000 / 1001), (1000.0, 24.0), (0.05, 24.0), (0.0, 24.0), (30.0, 24.0)],
)
def test_a_frame_rate_counts_where_the_timestamps_agree(stated: float, expected: float) -> None:
    assert frame_rate(at(240, 24), stated, 10.0) == pytest.approx(expected)


def test_a_single_frame_has_the_stated_rate() -> None:
    assert frame_rate(np.array([0.0]), 25.0, 0.04) == 25.0
    assert frame_rate(np.array([0.0]), 0.0, 0.04) == pytest.approx(25.0)
    assert frame_rate(np.array([0.0]), 0.0, 0.0) == 0.0
