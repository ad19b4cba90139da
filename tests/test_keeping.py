"""Which packets are kept, by rules alone: notes are made up."""

import numpy as np
import pytest

from video.keeping import MAX_PACKETS, Doubt, Kept, check_for_dali, kept_packets
from video.packet_notes import (
    CRA,
    DOUBT,
    HIDDEN,
    LAYER_PLACE,
    RADL,
    RASL,
    REPEATS,
    RESETS,
    SETS,
    SPLICE,
    UNREFERENCED,
)

KEY, B = SPLICE, UNREFERENCED


def keep(
    notes: list[int], wanted: list[int], codec: str = "mpeg4", *, order: list[int] | None = None, keys: tuple[int, ...]
) -> Kept:
    keyframes = np.isin(np.arange(len(notes)), keys)
    places = np.array(order if order is not None else range(len(notes)), np.int64)
    return kept_packets(places, keyframes, np.array(notes, np.int32), np.array(wanted), codec)


def packets(*arguments: object, **named: object) -> list[int]:
    return keep(*arguments, **named).packets.tolist()  # type: ignore[arg-type]


def test_a_group_is_kept_up_to_its_last_wanted_frame_without_what_is_not_referred_to() -> None:
    notes = [KEY, 0, B, B, 0, B, KEY, 0, 0, KEY, 0]
    assert packets(notes, [3], keys=(0, 6, 9)) == [0, 1, 3]
    assert packets(notes, [4, 10], keys=(0, 6, 9)) == [0, 1, 4, 9, 10]
    assert packets(notes, [7], keys=(0, 6, 9)) == [6, 7]
    assert packets(notes, [0], keys=(0, 6, 9)) == [0]


def test_a_keyframe_that_is_no_splice_does_not_begin_a_group() -> None:
    notes = [KEY, 0, 0, 0, 0]
    assert packets(notes, [4], "h264", keys=(0, 2)) == [0, 1, 2, 3, 4]


def test_a_frame_displayed_before_its_keyframe_needs_the_whole_group_before() -> None:
    order = [0, 1, 4, 2, 3, 5]
    assert packets([KEY, 0, KEY, B, B, 0], [4], order=order, keys=(0, 2)) == [0, 1, 2, 4]
    assert packets([KEY, 0, KEY, B, B, 0], [5], order=order, keys=(0, 2)) == [2, 5]
    with pytest.raises(Doubt):
        packets([KEY, 0, KEY, 0, B, 0], [5], order=order, keys=(0, 2))
    with pytest.raises(Doubt):
        packets([KEY, 0, KEY, 0, 0, 0], [3], "h264", order=order, keys=(0, 2))


def test_leading_pictures_of_hevc() -> None:
    order = [0, 1, 2, 5, 3, 4, 6]
    notes = [KEY, 0, 0, KEY | CRA, RASL, RASL | B, 0]
    behind = keep(notes, [0, 6], "hevc", order=order, keys=(0, 3))
    assert behind.packets.tolist() == [0, 3, 6]
    assert behind.spliced.tolist() == [False, True, False]
    whole = keep(notes, [4], "hevc", order=order, keys=(0, 3))
    assert whole.packets.tolist() == [0, 1, 2, 3, 4]
    assert not whole.spliced.any()
    notes[4:6] = RADL, RADL | B
    assert packets(notes, [4], "hevc", order=order, keys=(0, 3)) == [3, 4]
    assert packets(notes, [6], "hevc", order=order, keys=(0, 3)) == [3, 6]
    notes[4] = 0
    with pytest.raises(Doubt):  # neither
        packets(notes, [4], "hevc", order=order, keys=(0, 3))


def test_leading_pictures_that_may_refer_to_leading_pictures_of_the_group_before() -> None:
    order = [0, 1, 4, 3, 6, 5]
    notes = [KEY, 0, KEY | CRA, RASL, KEY | CRA, RASL]
    with pytest.raises(Doubt):
        packets(notes, [5], "hevc", order=order, keys=(0, 2, 4))
    notes[3], order[3] = 0, 4
    order[2] = 3
    assert packets(notes, [5], "hevc", order=order, keys=(0, 2, 4)) == [2, 3, 4, 5]


def test_a_frame_may_be_referred_to_from_a_higher_layer() -> None:
    low, high = B, B | 1 << LAYER_PLACE
    assert packets([KEY, low, high, 0], [3], "hevc", keys=(0,)) == [0, 3]
    assert packets([KEY, low, high, 0], [2], "hevc", keys=(0,)) == [0, 1, 2]
    order = [0, 1, 4, 3]
    leading = RASL | 1 << LAYER_PLACE
    assert packets([KEY, low, KEY | CRA, leading], [3], "hevc", order=order, keys=(0, 2)) == [0, 1, 2, 3]


def test_a_vp9_frame_may_continue_the_state_of_one_that_it_does_not_refer_to() -> None:
    assert packets([KEY | RESETS, B, 0, 0], [3], "vp9", keys=(0,)) == [0, 1, 2, 3]
    assert packets([KEY | RESETS, B, B, RESETS, 0], [4], "vp9", keys=(0,)) == [0, 3, 4]
    assert packets([KEY | RESETS, B, 0, 0], [3], "av1", keys=(0,)) == [0, 2, 3]


def test_parameters_in_packets_that_are_left_out() -> None:
    notes = [KEY | SETS, 0, KEY, 0]
    with pytest.raises(Doubt, match="parameters"):
        packets(notes, [3], keys=(0, 2))
    notes[2] |= SETS
    assert packets(notes, [3], keys=(0, 2)) == [2, 3]
    assert packets([KEY, 0, 0, KEY | SETS], [2], keys=(0, 3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("notes", "wanted", "keys"),
    [
        ([KEY, 0, 0], [2], ()),
        ([0, KEY, 0], [0], (1,)),
        ([KEY, DOUBT, 0], [2], (0,)),
        ([KEY, HIDDEN, 0], [2], (0,)),
        ([KEY] + [0] * MAX_PACKETS, [MAX_PACKETS], (0,)),
    ],
)
def test_doubts(notes: list[int], wanted: list[int], keys: tuple[int, ...]) -> None:
    with pytest.raises(Doubt):
        packets(notes, wanted, keys=keys)
    assert packets([KEY, 0, DOUBT], [1], keys=(0,)) == [0, 1]
    assert packets([KEY, HIDDEN, 0], [2], "vp9", keys=(0,)) == [0, 1, 2]


def test_what_dali_counts_otherwise() -> None:
    kept = Kept(np.array([0, 2]), np.zeros(2, np.bool_))
    check_for_dali(kept, np.array([KEY, REPEATS | SETS, B]))
    for note in (REPEATS, SETS):
        with pytest.raises(Doubt):
            check_for_dali(kept, np.array([KEY, 0, note]))
