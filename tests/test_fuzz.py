"""Properties of sampling and decoding that hold for every input; hypothesis searches for counterexamples.

The default profile is short and has a fixed seed. To run for hours:
`python -m pytest tests/test_fuzz.py --hypothesis-profile=hours`, or `python -m tests.fuzz`, which knows more of the
structure of files but does not shrink what it finds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.hostile import SEEDS, WORDS, elements, seed
from fixtures.synthetic import encode
from tests.fuzz import decode
from video import InvalidParameter, InvalidVideo, IsolatedDecoder, Limits, Parameters, sample
from video.clips import CLIP_FRAMES, CLIP_SHAPE
from video.parameters import MAX_SEGMENTS

GOOD = encode(20)

seconds = st.floats(0, 1e7, allow_nan=False)
steps = st.lists(st.floats(1e-4, 1e4, allow_nan=False), min_size=0, max_size=400)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "fps": st.floats(0.01, 240),
        "max_frames": st.integers(1, (MAX_SEGMENTS - 1) * CLIP_FRAMES),
        "clip_seconds": st.floats(0.01, 3600),
        "clip_stride_seconds": st.floats(0.01, 3600),
        "max_clips": st.integers(1, MAX_SEGMENTS),
        "start_seconds": st.floats(0, 1e6),
        "end_seconds": st.floats(0, 1e6),
        "from_first_frame": st.integers(0, 1),
        "allow_damaged": st.booleans(),
    },
)


def check_sentence(error: Exception, length: int) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < length


@given(start=seconds, steps=steps, duration=st.floats(0, 1e9, allow_nan=False), asked=parameters)
def test_a_sampling_has_only_frames_of_the_requested_part_and_a_bounded_number_of_them(
    start: float, steps: list[float], duration: float, asked: dict[str, Any]
) -> None:
    timestamps = start + np.concatenate([[0.0], np.cumsum(steps)])
    try:
        sampling = sample(timestamps, duration, Parameters.from_request(asked))
    except InvalidParameter as error:
        check_sentence(error, 400)
        return
    assert (np.diff(sampling.frame_indices) > 0).all()
    assert sampling.frame_indices[0] >= 0
    assert sampling.frame_indices[-1] < len(timestamps)
    for order in (sampling.motion_order, sampling.camera_order):
        assert len(order) % CLIP_FRAMES == 0
        assert 0 < len(order) // CLIP_FRAMES <= MAX_SEGMENTS
        assert order.min() >= 0
        assert order.max() < len(sampling.frame_indices)
    assert len(sampling.clip_seconds) == len(sampling.camera_order) // CLIP_FRAMES
    assert np.isfinite(sampling.clip_seconds).all()
    assert (sampling.clip_seconds[:, 0] <= sampling.clip_seconds[:, 1]).all()
    # Motion frames run from the first frame of the part to its last, never backwards.
    shown = timestamps[sampling.frame_indices[sampling.motion_order]]
    assert (np.diff(shown) >= 0).all()
    shown -= timestamps[0] if asked.get("from_first_frame") else 0.0
    assert shown[0] >= asked.get("start_seconds", -math.inf) - 1e-5
    assert shown[-1] < asked.get("end_seconds", math.inf)


@pytest.mark.heavy
@given(
    st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.booleans()))
)
def test_any_parameters_are_accepted_or_refused_in_one_sentence(asked: dict[str, object]) -> None:
    try:
        taken = Parameters.from_request(asked)
    except InvalidParameter as error:
        check_sentence(error, 400)
    else:
        numbers = [value for name, value in vars(taken).items() if name != "signals" and value is not None]
        assert all(map(math.isfinite, numbers))


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=20))
    yield made
    made.close()


@dataclass(frozen=True)
class Damaged:
    """A seed with a few changes; its repr lists the changes, because the file is long."""

    seed: str
    changes: list[tuple[int, int, bytes]]
    """For each change: the position, the number of bytes removed there, and the bytes inserted."""

    @property
    def video(self) -> bytes:
        changed = bytearray(seed(self.seed))
        for place, removed, new in self.changes:
            changed[place : place + removed] = new
        return bytes(changed)


@st.composite
def damaged(draw: st.DrawFn) -> Damaged:
    """A seed with changes near the starts of its elements."""
    name = draw(st.sampled_from(sorted(SEEDS)))
    beginnings = sorted({place for element in elements(seed(name)) for place in (element.start, element.content)})
    place = st.tuples(st.sampled_from(beginnings), st.integers(0, 64)).map(sum)
    words = st.sampled_from([word.to_bytes(4, "big") for word in WORDS])
    change = st.tuples(place, st.integers(0, 12), st.one_of(words, st.binary(max_size=12)))
    return Damaged(name, draw(st.lists(change, min_size=1, max_size=4)))


@pytest.mark.heavy
@given(file=damaged(), allowed=st.booleans())
def test_any_file_gives_clips_or_an_error_of_one_sentence(
    file: Damaged, allowed: bool, decoder: IsolatedDecoder
) -> None:
    try:
        clips = decode(decoder, file.video, allow_damaged=allowed)
    except (InvalidVideo, InvalidParameter) as error:
        check_sentence(error, 300)
    else:
        assert clips.shape[1:] == CLIP_SHAPE


@pytest.mark.heavy
def test_after_fuzzing_a_decoder_decodes_a_valid_video_as_a_new_one_does(decoder: IsolatedDecoder) -> None:
    fresh = IsolatedDecoder(Limits(timeout_seconds=20))
    try:
        assert np.array_equal(decode(decoder, GOOD), decode(fresh, GOOD))
    finally:
        fresh.close()
