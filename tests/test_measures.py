"""The measures of a video: against OpenCV alone, from their definitions, and on pictures whose truth is known."""

import itertools
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fixtures.rendered import Picture, encode_pictures, moved, texture
from fixtures.synthetic import encode
from video import InvalidVideo, IsolatedDecoder, Limits
from video.errors import InvalidParameter, Reason
from video.measures.frames import INTERVAL_SECONDS, MAX_MEASURED, measured_frames
from video.measures.latents import LATENT_NAMES
from video.measures.measures import NAMES, Measures
from video.measures.measuring import MeasuredFrames
from video.orders import check_orders
from video.parameters import Parameters
from video.sampling import TOLERANCE_SECONDS, sample
from video.signals import Signal
from video.strip import Strip

EVERY = tuple(Signal)
FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=60))
    yield made
    made.close()


def measure(
    decoder: IsolatedDecoder, video: bytes, *, strip: Strip = Strip.WHERE_SAFE, **parameters: object
) -> Measures:
    """What the worker, in its sandbox, measures of a video."""
    asked = {"signals": "metrics"} | parameters
    plan = decoder.plan(memoryview(video), asked, strip=strip, served=EVERY)
    indices, motion, camera, metric = (
        np.array(plan[name], np.int64) for name in ("frame_indices", "motion_order", "camera_order", "metric_order")
    )
    clips = decoder.decode(
        memoryview(video),
        *(indices, motion, camera, 224),
        stripped_video=plan["stripped_video"],
        stripped_indices=np.array(plan["stripped_indices"], np.int64),
        metric_order=metric,
    )
    assert clips.measures is not None
    return clips.measures


def frames_by_definition(path: Path) -> list[Picture]:
    """For each k the first frame at least k * 0.25 s after the first one, each once; OpenCV reads the file."""
    capture, k = cv2.VideoCapture(str(path)), 0
    chosen: list[Picture] = []
    first = None
    while True:
        read, frame = capture.read()
        if not read:
            return chosen
        milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
        first = milliseconds if first is None else first
        if milliseconds - first >= 250 * k - 1e-3:
            chosen.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            while 250 * k <= milliseconds - first + 1e-3:
                k += 1


def square_of(frame: Picture) -> Picture:
    return np.asarray(Image.fromarray(frame).resize((240, 320), Image.Resampling.BILINEAR))[40:280]


def by_definition(frames: list[Picture]) -> dict[str, float]:
    """The rgb and flow measures of frames, without this project's code."""
    squares = [
        np.asarray(Image.fromarray(frame).resize((240, 320), Image.Resampling.BILINEAR))[40:280] for frame in frames
    ]
    differences, velocities = [], []
    for first, second in itertools.pairwise(squares):
        differences.append(np.mean((second.astype(np.float32) - first.astype(np.float32)) ** 2))
        one, two = (cv2.cvtColor(square, cv2.COLOR_RGB2GRAY) for square in (first, second))
        flow = cv2.calcOpticalFlowFarneback(one, two, None, *FARNEBACK)
        velocities.append(np.mean(np.sqrt(flow[..., 0] ** 2 + flow[..., 1] ** 2)))
    return {
        "max_rgb_diff": float(np.max(differences)),
        "mean_rgb_diff": float(np.mean(differences)),
        "max_velocity": float(np.max(velocities)),
        "mean_velocity": float(np.mean(velocities)),
    }


@pytest.mark.parametrize(
    "name", ["carphone_pristine", *(pytest.param(name, marks=pytest.mark.heavy) for name in ("bikes", "bigbuckbunny"))]
)
def test_measures_of_real_videos_are_those_of_an_opencv_script(
    name: str, decoder: IsolatedDecoder, reference_videos: dict[str, Path]
) -> None:
    frames = frames_by_definition(reference_videos[name])
    found = measure(decoder, reference_videos[name].read_bytes())
    assert found.frames == len(frames) > 10
    expected = by_definition(frames)
    assert {measure: getattr(found, measure) for measure in expected} == pytest.approx(expected, rel=0.001)
    greys = [
        cv2.cvtColor(
            np.asarray(Image.fromarray(frame).resize((240, 320), Image.Resampling.BILINEAR))[40:280], cv2.COLOR_RGB2GRAY
        )
        for frame in frames
    ]
    assert found.brightness == pytest.approx(np.mean(greys), rel=0.001)
    laplacians = [cv2.Laplacian(grey, cv2.CV_64F).var() for grey in greys]
    assert found.sharpness == pytest.approx(np.mean(laplacians), rel=0.001)
    assert (found.black_share, found.frozen_share, found.letterbox) == (0, 0, 0)
    # By eye, `bikes` has five; the last one, before a single measured frame of similar colours, is not seen.
    assert found.cuts == (4 if name == "bikes" else 0)
    assert found.motion_vectors is not None
    assert found.motion_vectors > 0


@pytest.mark.heavy
def test_a_turned_video_is_measured_as_it_is_displayed(decoder: IsolatedDecoder, tmp_path: Path) -> None:
    sharp = {"crf": "1", "g": "1"}  # or chroma, which OpenCV interpolates otherwise, makes a difference
    (tmp_path / "upright.mp4").write_bytes(encode(50, width=320, height=120, options=sharp))
    turned = encode(50, width=320, height=120, options=sharp, rotation_degrees=90)
    found = {name: getattr(measure(decoder, turned), name) for name in NAMES[1:5]}
    frames = frames_by_definition(tmp_path / "upright.mp4")
    assert found == pytest.approx(by_definition([np.rot90(frame, -1) for frame in frames]), rel=0.001)
    assert found != pytest.approx(by_definition(frames), rel=0.01)


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_a_stripped_file_has_the_same_measures(codec: str, decoder: IsolatedDecoder) -> None:
    options = {"g": "12"} | ({"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {})
    video = encode_pictures(moved(texture(1), 60, 2), codec=codec, options=options)
    plan = decoder.plan(memoryview(video), {"signals": "metrics"}, served=EVERY)
    assert 0 < len(plan["stripped_video"]) < len(video)
    assert measure(decoder, video) == measure(decoder, video, strip=Strip.NEVER)


def test_measures_are_the_same_whatever_else_is_decoded(decoder: IsolatedDecoder) -> None:
    video = encode(60)
    alone = measure(decoder, video)
    assert measure(decoder, video, signals="motion,camera,metrics") == alone
    assert measure(decoder, video, signals="motion,camera,metrics", start_seconds=1.0) != alone


# Which frames


@pytest.mark.parametrize("rate", [1, 2, 3.9, 4, 4.1, 23.976, 25, 29.97, 30, 60])
def test_frames_are_the_first_ones_of_each_quarter_of_a_second(rate: float) -> None:
    timestamps = 3.2 + np.arange(round(12 * rate)) / rate
    last = timestamps[-1] - timestamps[0]
    first_at_least = [
        int(np.flatnonzero(timestamps - timestamps[0] >= k * 0.25 - 1e-6)[0])
        for k in range(int((last + 1e-6) / 0.25) + 1)
    ]
    expected = sorted(set(first_at_least))
    assert measured_frames(timestamps, TOLERANCE_SECONDS).tolist() == expected
    assert len(expected) == (len(timestamps) if rate <= 4 else round(last // 0.25) + 1)


def test_frames_of_a_video_with_gaps_and_of_one_that_lasts_for_years() -> None:
    gaps = np.array([0, 0.1, 0.24, 0.26, 0.5, 2.0, 2.1, 2.2, 2.3])
    assert measured_frames(gaps, TOLERANCE_SECONDS).tolist() == [0, 3, 4, 5, 8]
    assert measured_frames(np.array([0, 1e12]), TOLERANCE_SECONDS).tolist() == [0, 1]
    assert measured_frames(np.array([7.0]), TOLERANCE_SECONDS).tolist() == [0]


def test_a_video_that_is_too_long_is_refused_with_what_to_do() -> None:
    longest = np.arange(MAX_MEASURED * 5) * INTERVAL_SECONDS / 5
    assert len(measured_frames(longest, TOLERANCE_SECONDS)) == MAX_MEASURED
    with pytest.raises(
        InvalidVideo, match=r"its measures take 4801 frames, 4 for each second; the maximum is"
    ) as raised:
        measured_frames(np.append(longest, longest[-1] + 0.25), TOLERANCE_SECONDS)
    assert raised.value.reason == Reason.TOO_LARGE
    assert "start_seconds" in str(raised.value)


def test_the_worker_plans_the_longest_video_and_refuses_a_longer_one(decoder: IsolatedDecoder) -> None:
    """Its plan is one message between the processes."""
    black = np.zeros((16, 16, 3), np.uint8)
    longest, longer = (encode_pictures([black] * (MAX_MEASURED + more), 4, "mpeg4") for more in (0, 1))
    asked = {"signals": "metrics"}
    assert len(decoder.plan(memoryview(longest), asked, served=EVERY)["metric_order"]) == MAX_MEASURED
    with pytest.raises(InvalidVideo, match="its measures take 4801 frames"):
        decoder.plan(memoryview(longer), asked, served=EVERY)


def test_a_part_is_measured_from_its_first_frame_on() -> None:
    sampling = sample(np.arange(250) / 25, 10, Parameters(signals=(Signal.METRICS,), start_seconds=1, end_seconds=2))
    assert sampling.frame_indices.tolist() == [25, 32, 38, 44]
    assert sampling.metric_order.tolist() == [0, 1, 2, 3]


# Pictures whose truth is known


@pytest.mark.heavy
def test_flow_and_vectors_are_the_camera_s_steps(decoder: IsolatedDecoder) -> None:
    """2 of 480 pixels a frame are 1 of 240, and 6 in the 6 frames of a quarter of a second."""
    pictures = moved(texture(2, 480, 360, detail=24), 48, 2)
    for codec in ("libx264", "mpeg4"):
        options = {"bf": "0", "refs": "1", "b": "4000000"}
        found = measure(decoder, encode_pictures(pictures, codec=codec, options=options))
        assert found.mean_velocity == pytest.approx(6, rel=0.15)
        assert found.motion_vectors == pytest.approx(2, rel=0.25)
        assert found.frozen_share == 0
        assert found.cuts == 0


@pytest.mark.parametrize("codec", ["libvpx-vp9", "mjpeg"])
def test_codecs_without_vectors_have_none(codec: str, decoder: IsolatedDecoder) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {}
    found = measure(decoder, encode(30, codec=codec, container="matroska", options=options))
    assert found.motion_vectors is None
    assert found.mean_velocity is not None
    keyframes = measure(decoder, encode_pictures(moved(texture(3), 30, 2), options={"g": "1"}))
    assert keyframes.motion_vectors is None


def test_a_still_picture_is_frozen_and_half_of_a_half_still_video(decoder: IsolatedDecoder) -> None:
    still = [texture(4)] * 48
    found = measure(decoder, encode_pictures(still))
    assert (found.frozen_share, found.cuts) == (1, 0)
    assert found.max_velocity == pytest.approx(0, abs=0.1)
    half = measure(decoder, encode_pictures(still + moved(still[0], 49, 2)[1:]))
    assert half.frozen_share == pytest.approx(7 / 15, abs=0.07)


def test_brightness_sharpness_and_black(decoder: IsolatedDecoder) -> None:
    black, grey = np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 200, np.uint8)
    found = measure(decoder, encode_pictures([black] * 36 + [grey] * 12))
    assert found.black_share == 6 / 8
    assert found.brightness == pytest.approx(50, abs=2)
    assert found.sharpness == pytest.approx(0, abs=1)
    everything = measure(decoder, encode_pictures([black] * 24))
    assert (everything.black_share, everything.letterbox, everything.cuts) == (1, None, 0)
    sharp, blurred = (measure(decoder, encode_pictures([texture(5, detail=detail)] * 12)) for detail in (60, 8))
    assert sharp.sharpness > 4 * blurred.sharpness


def test_letterbox_is_the_share_of_bars_on_both_sides(decoder: IsolatedDecoder) -> None:
    def barred(top: int, bottom: int, sides: int) -> bytes:
        pictures = [picture.copy() for picture in moved(np.maximum(texture(6), 40), 12, 3)]
        for picture in pictures:
            picture[:top] = picture[240 - bottom :] = 0
            picture[:, :sides] = picture[:, 320 - sides :] = 0
        return encode_pictures(pictures)

    shares = {bars: measure(decoder, barred(*bars)).letterbox for bars in ((30, 30, 0), (0, 0, 40), (30, 30, 40))}
    assert shares == pytest.approx({(30, 30, 0): 1 / 4, (0, 0, 40): 1 / 4, (30, 30, 40): 7 / 16}, abs=0.03)
    assert measure(decoder, barred(80, 0, 0)).letterbox == 0  # a dark sky


def shots(*numbers: int, frames: int = 24) -> list[Picture]:
    """Shots under a moving camera, one after the other."""
    return [picture for number in numbers for picture in moved(texture(100 + number), frames, 3)]


def faded(pictures: list[Picture], start: float, end: float) -> list[Picture]:
    return [
        (picture * factor).astype(np.uint8)
        for picture, factor in zip(pictures, np.linspace(start, end, len(pictures)), strict=True)
    ]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("pictures", "cuts"),
    [
        (shots(1, frames=72), 0),
        (shots(1, 2), 1),
        (shots(1, 2, 3, 4, 5, 6), 5),
        (moved(texture(101), 48, 25), 0),
        (faded(shots(1), 1, 0) + faded(shots(1), 0, 1), 0),
        (faded(shots(1), 1, 0) + faded(shots(2), 0, 1), 1),
        (shots(1, frames=20) + [np.full((240, 320, 3), 255, np.uint8)] * 6 + shots(1, frames=22), 0),
        (shots(1, frames=20) + shots(2, frames=6) + shots(1, frames=22), 0),
        (faded(shots(1, frames=48), 1.0, 0.4), 0),
    ],
    ids=["one", "two", "six", "whip pan", "fade", "fade to another", "white flash", "other flash", "dimming"],
)
def test_cuts_are_counted_and_fades_flashes_and_pans_are_not(
    pictures: list[Picture], cuts: int, decoder: IsolatedDecoder
) -> None:
    assert measure(decoder, encode_pictures(pictures)).cuts == cuts


def test_one_frame_has_no_pairs(decoder: IsolatedDecoder) -> None:
    found = measure(decoder, encode_pictures([texture(7)]))
    missing = [name for name in NAMES if getattr(found, name) is None]
    assert missing == [
        "max_rgb_diff",
        "mean_rgb_diff",
        "max_velocity",
        "mean_velocity",
        "motion_vectors",
        "frozen_share",
    ]
    assert (found.frames, found.cuts) == (1, 0)
    assert np.isnan(found.row(NAMES)).sum() == 6
    assert found.row(("frames", "brightness")).tolist() == [[1, np.float32(found.brightness)]]


# What can go wrong


class Bare:
    """A decoded frame without side data."""

    side_data: dict[str, object] = {}  # noqa: RUF012


def test_decoding_may_begin_again() -> None:
    """A stripped file without all its frames is given up, and the video itself is decoded from the start."""
    pictures: list[NDArray[np.uint8]] = moved(texture(8), 6, 9)
    frame: Any = Bare()
    once, again = MeasuredFrames([2, 3, 5]), MeasuredFrames([2, 3, 5])
    assert 3 in once
    assert 4 not in once
    for position in (2, 3):
        again.take(position, pictures[position + 1], frame)
    for position in (2, 3, 5):
        once.take(position, pictures[position], frame)
        again.take(position, pictures[position], frame)
    assert again.result() == once.result()
    assert once.result().frames == 3


GOOD: dict[str, Any] = {name: (3 if name in ("frames", "cuts") else 0.5) for name in NAMES}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {**GOOD, "more": 1.0},
        dict(reversed(GOOD.items())),
        *(GOOD | {"frames": value} for value in (None, -1, 1.5, True, "3", 10**400)),
        *(GOOD | {"brightness": value} for value in (None, -1.0, 3, float("nan"), float("inf"), "1", [1.0])),
        *(GOOD | {"max_velocity": value} for value in (-1.0, "1", float("nan"), 1e30)),
    ],
)
def test_a_worker_that_lies_about_measures_is_found_out(said: object) -> None:
    assert Measures.checked(GOOD | {"max_velocity": None}).max_velocity is None
    with pytest.raises(ValueError, match=r"names of measures|cannot be"):
        Measures.checked(said)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (np.zeros(MAX_MEASURED + 1, np.int32), "METRIC_ORDER has 4801 positions; their number must be at most 4800"),
        (np.array([1, 0]), "the positions in METRIC_ORDER must ascend"),
        (np.array([0, 0]), "the positions in METRIC_ORDER must ascend"),
        (np.array([0, 4]), "an order has positions outside the 4 frames to decode"),
        (np.array([], np.int32), "all orders are empty"),
    ],
)
def test_orders_that_no_plan_has_are_refused(order: NDArray[np.integer], sentence: str) -> None:
    none = np.empty(0, np.int32)
    check_orders(np.arange(4), none, none, none, np.array([0, 3]))
    with pytest.raises(InvalidParameter, match=sentence):
        check_orders(np.arange(4), none, none, none, order)


def test_the_client_and_the_page_name_every_measure() -> None:
    from client._sdk.metrics import Metrics

    assert tuple(field.name for field in fields(Metrics)) == (*NAMES, *LATENT_NAMES)
    page = (Path(__file__).parent.parent / "docs" / "measures.md").read_text()
    assert [name for name in (*NAMES, *LATENT_NAMES) if f"| `{name}`" not in page] == []
