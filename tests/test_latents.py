"""The measures of latents: their definitions, and the pictures on their way from the decoder to the autoencoder."""

import importlib
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from fixtures.autoencoders import latent_measures, squares
from fixtures.rendered import moved, texture
from fixtures.synthetic import decode_all, encode
from video import DecoderFailed, IsolatedDecoder, Limits
from video.errors import Abandoned, Busy, Reason
from video.isolation import End
from video.measures.latents import LATENT_NAMES, LatentPairs, measure_names
from video.measures.measures import NAMES, row_of
from video.measures.measuring import MeasuredFrames
from video.picture_parts import PART, PART_BYTES, PicturesIn, PicturesOut
from video.signals import Signal

NONE = np.empty(0, np.int64)
VIDEO = encode(100, rate=20, width=192, height=108)  # 20 measured frames: a part and a quarter
EVERY_QUARTER = 5


def latents(frames: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(1, 2, (frames, 4, 3, 5)).astype(np.float32)


# Definitions


@pytest.mark.parametrize("sizes", [(9,), (1,) * 9, (4, 5), (1, 8)])
def test_measures_are_means_over_neighbours_however_frames_come(sizes: tuple[int, ...]) -> None:
    taken, pairs = latents(9), LatentPairs()
    for part in np.split(taken, np.cumsum(sizes)[:-1]):
        pairs.take(part)
    expected = latent_measures(taken)
    assert pairs.result() == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected[1] < 0.3


def test_one_frame_has_no_pairs_and_equal_frames_do_not_differ() -> None:
    pairs, frame = LatentPairs(), latents(1)
    assert pairs.result() == (None, None)
    pairs.take(frame)
    assert pairs.result() == (None, None)
    pairs.take(frame)
    assert pairs.result() == pytest.approx((0, 1), abs=1e-12)
    pairs.take(np.zeros_like(frame))
    assert pairs.result().latent_cosine == pytest.approx(0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_latents_that_are_no_numbers_are_an_error(value: float) -> None:
    broken = latents(3)
    broken[1, 2, 1, 1] = value
    with pytest.raises(ValueError, match="not finite"):
        LatentPairs().take(broken)


def test_a_repository_without_an_autoencoder_has_no_such_columns() -> None:
    assert measure_names({"frames": {}}) == NAMES
    assert measure_names({"autoencoder": {}}) == (*NAMES, "latent_mse", "latent_cosine")
    row = row_of({"frames": 3, "latent_mse": None, "latent_cosine": 0.5}, ("latent_cosine", "frames", *LATENT_NAMES))
    np.testing.assert_array_equal(row, np.array([[0.5, 3, np.nan, 0.5]], np.float32))


# From the worker to its parent


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=60))
    yield made
    made.close()


class Taken:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []
        self.pictures: list[NDArray[np.uint8]] = []

    def take(self, first: int, pictures: NDArray[np.uint8]) -> None:
        if first == 0:
            self.pictures.clear()
        self.parts.append((first, len(pictures)))
        self.pictures += list(pictures.copy())


def decode(decoder: IsolatedDecoder, use: Callable[..., None] | None) -> Any:
    plan = decoder.plan(memoryview(VIDEO), {"signals": "metrics"}, served=tuple(Signal))
    indices, motion, camera, metric = (
        np.array(plan[name], np.int64) for name in ("frame_indices", "motion_order", "camera_order", "metric_order")
    )
    stripped = {"stripped_video": plan["stripped_video"], "stripped_indices": np.array(plan["stripped_indices"])}
    orders = (indices, motion, camera, 224)
    return decoder.decode(memoryview(VIDEO), *orders, metric_order=metric, on_pictures=use, **stripped)


def test_pictures_of_the_measured_frames_come_in_parts_and_change_nothing_else(decoder: IsolatedDecoder) -> None:
    taken = Taken()
    clips, without = decode(decoder, taken.take), decode(decoder, None)
    assert taken.parts == [(0, PART), (PART, 4)]
    np.testing.assert_array_equal(taken.pictures, squares(decode_all(VIDEO)[::EVERY_QUARTER]))
    assert clips.measures == without.measures
    assert clips.measures.frames == 20
    assert clips.frames.shape == without.frames.shape == (0, 0, 0, 3)
    assert len(clips.motion) == len(without.motion) == 0


def test_an_error_with_a_part_ends_the_worker_and_the_next_video_has_another(decoder: IsolatedDecoder) -> None:
    def fail(first: int, pictures: NDArray[np.uint8]) -> None:
        if first:
            raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        decode(decoder, fail)
    taken = Taken()
    decode(decoder, taken.take)
    assert len(taken.pictures) == 20
    assert decoder.restarts == {End.ABANDONED: 1}


def test_pictures_begin_again_where_decoding_does() -> None:
    """A stripped file without all its frames is given up, and the video itself is decoded from the start."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 240, 240, 3), np.uint8)
    memory, taken = np.zeros(PART_BYTES + 7, np.uint8), Taken()
    parent = PicturesIn(memory, len(pictures), taken.take)
    out = PicturesOut(memory, lambda message: taken_by(parent, message))
    for stop in (5, 30, 40):  # given up before a part was sent, after one was, and not at all
        for number in range(stop):
            out.take(number, pictures[number if stop == 40 else 39 - number])
    out.flush()
    parent.check_complete()
    assert taken.parts == [(0, PART), (0, PART), (PART, PART), (2 * PART, 8)]
    np.testing.assert_array_equal(taken.pictures, pictures)


def test_numbers_of_pictures_begin_again_where_decoding_does() -> None:
    shown: list[tuple[int, NDArray[np.uint8]]] = []
    frames = MeasuredFrames([2, 3], lambda number, picture: shown.append((number, picture)))
    pictures, frame = moved(texture(8), 4, 9), cast(Any, types.SimpleNamespace(side_data={}))
    for position in (2, 2, 3):
        frames.take(position, pictures[position], frame)
    frames.result()
    assert [number for number, _ in shown] == [0, 1]
    np.testing.assert_array_equal(shown[1][1], squares(pictures[3:])[0])


def taken_by(parent: PicturesIn, message: dict[str, Any]) -> None:
    assert parent.take(json.dumps(message).encode())


@pytest.mark.parametrize(
    "parts",
    [
        [[0, 0]],
        [[0, PART + 1]],
        [[0, -1]],
        [[1, 3]],
        [[0, 3], [2, 3]],
        [[0, 3], [6, 3]],
        [[0, PART], [PART, 5]],
        [[0, 1]] * 4,
        [[True, 1]],
        [[0, True]],
        [[0.0, 1]],
        [[0, "1"]],
        [[0]],
        ["ab"],
        [None],
        [{"first": 0}],
    ],
)
def test_a_worker_that_lies_about_pictures_is_found_out(parts: list[Any]) -> None:
    memory = np.zeros(PART_BYTES, np.uint8)
    parent = PicturesIn(memory, PART + 4, lambda *_: None)
    for part in parts[:-1]:
        assert parent.take(json.dumps({"pictures": part}).encode())
    with pytest.raises((ValueError, TypeError)):
        parent.take(json.dumps({"pictures": parts[-1]}).encode())


@pytest.mark.parametrize("message", [b"", b"[]", b'{"result": {}}', b'"pictures"', b"null"])
def test_other_messages_are_not_about_pictures(message: bytes) -> None:
    parent = PicturesIn(np.zeros(PART_BYTES, np.uint8), 3, lambda *_: None)
    assert not parent.take(message)
    with pytest.raises(ValueError, match="pictures are missing"):
        parent.check_complete()


def test_a_worker_that_leaves_pictures_out_has_misbehaved(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = {name: 3 if name in ("frames", "cuts") else 0.5 for name in NAMES}
    for second in ({"pictures": [0, 9]}, {"result": {"measures": measures}, "frames_decoded": 0}):
        made = IsolatedDecoder(Limits())
        answers = iter(json.dumps(said).encode() for said in ({"pictures": [0, 2]}, second))
        acknowledged: list[bytes] = []
        monkeypatch.setattr(made, "_hand_over", lambda *_: True)
        monkeypatch.setattr(made, "_receive", lambda answers=answers: next(answers))
        made._channel = types.SimpleNamespace(sendall=acknowledged.append)  # type: ignore[assignment]
        ended: list[End] = []
        monkeypatch.setattr(made, "_stop", ended.append)
        with pytest.raises(DecoderFailed, match="returned an invalid response"):
            made.decode(
                memoryview(VIDEO),
                *(np.arange(3), NONE, NONE, 224),
                metric_order=np.arange(3),
                on_pictures=lambda *_: None,
            )
        assert (ended, acknowledged) == ([End.MISBEHAVED], [b"taken"])


@pytest.mark.parametrize(("worker_seconds", "use_seconds"), [(0.3, 0.0), (0.0, 0.3)])
def test_a_worker_has_its_timeout_for_all_parts_together_without_the_time_in_which_it_waits(
    worker_seconds: float, use_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures = {name: 64 if name == "frames" else 0 if name == "cuts" else 0.5 for name in NAMES}
    parts = [{"pictures": [first, PART]} for first in range(0, 64, PART)]
    answers = iter([*parts, {"result": {"measures": measures}, "frames_decoded": 64}])

    def receive(_: int) -> bytes:
        time.sleep(worker_seconds)
        return json.dumps(next(answers)).encode()

    made = IsolatedDecoder(Limits(timeout_seconds=1))
    monkeypatch.setattr(made, "_hand_over", lambda *_: True)
    monkeypatch.setattr(made, "_stop", lambda *_: None)
    channel = types.SimpleNamespace(sendall=lambda _: None, settimeout=lambda _: None, recv=receive)
    made._channel = channel  # type: ignore[assignment]
    orders = (np.arange(64), NONE, NONE, 224)
    options: Any = {"metric_order": np.arange(64), "on_pictures": lambda *_: time.sleep(use_seconds)}
    if worker_seconds:
        with pytest.raises(DecoderFailed, match="took longer than 1 s"):
            made.decode(memoryview(VIDEO), *orders, **options)
    else:
        assert made.decode(memoryview(VIDEO), *orders, **options).measures is not None


# From there to the autoencoder


class Tensor:
    """In place of Triton's."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def as_numpy(self) -> Any:
        return self.value


class Autoencoder:
    """In place of the model: answers with the means of the pictures' channels, or with an error."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.error: tuple[int, str] | None = None
        self.change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda found: found

    def utilities(self) -> types.SimpleNamespace:
        """What `triton_python_backend_utils` has of it."""
        model = self

        class InferenceRequest:
            def __init__(self, **request: Any) -> None:
                model.asked.append(request)
                self._pictures = request["inputs"][0].value

            def exec(self) -> Any:
                means = self._pictures.mean(axis=(1, 2), dtype=np.float32)[:, :, None, None]
                error, (code, message) = model.error, model.error or (0, "")
                return types.SimpleNamespace(
                    has_error=lambda: error is not None,
                    error=lambda: types.SimpleNamespace(code=lambda: code, message=lambda: message),
                    tensor=Tensor("LATENTS", model.change(means)),
                )

        return types.SimpleNamespace(
            Tensor=Tensor,
            InferenceRequest=InferenceRequest,
            PreferredMemory=lambda kind, number: (kind, number),
            TRITONSERVER_MEMORY_CPU="cpu",
            TritonError=types.SimpleNamespace(UNAVAILABLE=14),
            get_output_tensor_by_name=lambda answer, _: answer.tensor,
        )


@pytest.fixture
def autoencoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Autoencoder]:
    model = Autoencoder()
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", model.utilities())
    sys.modules.pop("video.autoencoder_model", None)
    yield model
    sys.modules.pop("video.autoencoder_model", None)


def measuring(share: float = 1.0) -> Any:
    module = importlib.import_module("video.autoencoder_model")
    return module.LatentMeasuring((3, 1, 1), lambda: share, "a request")


def test_latents_are_asked_for_part_by_part(autoencoder: Autoencoder) -> None:
    pictures = np.stack([picture[:240, :240] for picture in moved(texture(3), 20, 5)])
    found = measuring()
    found.take(0, pictures[:7])
    found.take(0, pictures[:PART])  # decoding began again
    found.take(PART, pictures[PART:])
    pairs = LatentPairs()
    pairs.take(pictures.mean(axis=(1, 2), dtype=np.float32)[:, :, None, None])
    assert found.result() == pytest.approx(pairs.result())
    assert [len(asked["inputs"][0].value) for asked in autoencoder.asked] == [7, PART, 4]
    (asked, *_) = autoencoder.asked
    assert (asked["model_name"], asked["request_id"], asked["inputs"][0].name) == (
        *("frame_autoencoder", "a request", "FRAMES"),
    )
    assert (asked["requested_output_names"], asked["preferred_memory"]) == (["LATENTS"], ("cpu", 0))


def test_what_goes_wrong_with_the_autoencoder_has_a_sentence(autoencoder: Autoencoder) -> None:
    pictures = np.zeros((2, 240, 240, 3), np.uint8)
    with pytest.raises(Abandoned, match="the caller has gone"):
        measuring(share=-1.0).take(0, pictures)
    assert not autoencoder.asked
    autoencoder.error = (14, "Exceeds maximum queue size")
    with pytest.raises(Busy, match="frame_autoencoder cannot take more: Exceeds maximum queue size"):
        measuring().take(0, pictures)
    autoencoder.error = (13, "Stub process is not healthy.")
    with pytest.raises(DecoderFailed, match="frame_autoencoder failed: Stub process is not healthy") as raised:
        measuring().take(0, pictures)
    assert raised.value.reason == Reason.UNEXPECTED
    autoencoder.error = None
    autoencoder.change = lambda found: found * np.float32(np.nan)
    with pytest.raises(DecoderFailed, match="frame_autoencoder returned latents that are not finite"):
        measuring().take(0, pictures)
    autoencoder.change = lambda found: found[:, :2]
    with pytest.raises(DecoderFailed, match=r"frame_autoencoder returned latents of shape \(2, 2, 1, 1\)"):
        measuring().take(0, pictures)
