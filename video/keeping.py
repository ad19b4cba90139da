"""Which packets a file needs so that its wanted frames decode as they do in the whole video.

A group of pictures begins at a keyframe and is kept up to its last wanted frame, in decoding order, without packets
that nothing kept depends on. Where the notes leave a doubt, there is no answer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

Places = NDArray[np.int64]

CONTINUES_STATE = ("vp9",)
"""Codecs in which a frame may depend on the one before it even if it does not refer to it."""
HIDES_IN_PACKETS = ("vp9",)
"""Codecs in which a packet can hold a hidden frame with the next shown one."""
WITH_LAYERS = ("hevc",)
MAX_PACKETS = 100_000
"""Of a stripped file: an hour at 30 frames per second."""


@dataclass(frozen=True)
class Kept:
    """The packets of a stripped file."""

    packets: Places
    """(kept,) their numbers in the video, ascending."""
    spliced: NDArray[np.bool_]
    """(kept,) random access pictures before which something is missing that they say is there (HEVC's CRA)."""


class Doubt(Exception):
    """It is not certain which packets are needed."""


def kept_packets(
    order: Places, keyframes: NDArray[np.bool_], notes: NDArray[np.int32], wanted: Places, codec: str
) -> Kept:
    """The packets that the frames of the packets `wanted` need; raises `Doubt`.

    `order` (packets,) puts the packets into the order of display, `keyframes` (packets,) says where decoding can begin,
    `wanted` (wanted,) are numbers of packets, all in decoding order. `codec` is FFmpeg's name of a decoder.
    """
    starts = np.flatnonzero(keyframes & (notes & SPLICE != 0))
    if not len(starts) or wanted.min() < starts[0]:
        raise Doubt("a wanted frame comes before a place where decoding can begin")
    ends = np.append(starts[1:], len(order))
    groups = np.searchsorted(starts, wanted, side="right") - 1
    is_leading = order[wanted] < order[starts[groups]]
    refers_back = is_leading & (notes[wanted] & RADL == 0)
    last = np.full(len(starts), -1)
    np.maximum.at(last, groups, wanted)
    linked = np.zeros(len(starts), np.bool_)
    linked[groups[refers_back]] = True
    if codec in WITH_LAYERS and (refers_back & (notes[wanted] & RASL == 0)).any():
        raise Doubt("a frame is displayed before its keyframe and is no leading picture")
    if codec == "h264" and is_leading.any():
        raise Doubt("a frame is displayed before its instantaneous refresh")
    if linked[0]:
        raise Doubt("a wanted frame refers to frames before the first keyframe")
    before = np.flatnonzero(linked) - 1
    last[before] = ends[before] - 1

    is_wanted = np.zeros(len(order), np.bool_)
    is_wanted[wanted] = True
    radl_groups = set(groups[notes[wanted] & RADL != 0].tolist())
    kept: list[int] = []
    for group in np.flatnonzero(last >= 0).tolist():
        first = int(starts[group])
        inside = np.arange(first, last[group] + 1)
        said = notes[inside]
        if (said & DOUBT).any():
            raise Doubt("a packet is not a usual one")
        leaves = np.zeros(len(inside), np.bool_)
        if not linked[group]:
            leading = order[inside] < order[first]
            if codec in WITH_LAYERS:
                leaves |= said & RASL != 0
                leading &= said & RADL == 0
            if (leading & ~leaves & (said & UNREFERENCED == 0)).any():
                raise Doubt("a reference is displayed before its keyframe")
        elif group - 1 >= 0 and not linked[group - 1] and _has_no_trailing(notes[starts[group - 1] : first]):
            raise Doubt("leading pictures may refer to leading pictures")
        if group not in radl_groups:
            leaves |= said & RADL != 0
        candidates = (said & UNREFERENCED != 0) & ~is_wanted[inside] & ~leaves
        is_referred_to = group + 1 < len(starts) and linked[group + 1]
        layer = int((notes[starts[group + 1] : ends[group + 1]] >> LAYER_PLACE).max()) if is_referred_to else 0
        kept += _without(inside[~leaves], candidates[~leaves], notes, codec, layer)
    packets = np.array(kept, np.int64)
    if len(packets) > MAX_PACKETS:
        raise Doubt("too many packets are needed")
    if codec not in HIDES_IN_PACKETS and (notes[packets] & HIDDEN).any():
        raise Doubt("a packet has no frame that is shown")
    _check_sets(packets, notes)
    is_start = np.isin(packets, starts[~linked])
    spliced = is_start & (notes[packets] & CRA != 0)
    spliced[0] = False
    return Kept(packets, spliced)


def _has_no_trailing(group: NDArray[np.int32]) -> bool:
    return len(group) > 1 and bool((group[1:] & (RASL | RADL)).all()) and bool((group[1:] & RASL).any())


def _without(
    packets: Places, candidates: NDArray[np.bool_], notes: NDArray[np.int32], codec: str, layer_after: int
) -> list[int]:
    """The packets of a group without those of the candidates that nothing kept depends on, ascending.

    `layer_after` is the highest temporal layer of frames behind the group that may refer to it.
    """
    if codec not in CONTINUES_STATE and not layer_after and not (notes[packets] >> LAYER_PLACE).any():
        return packets[~candidates].tolist()
    kept = []
    resets_after = False
    for packet, is_candidate in zip(packets[::-1].tolist(), candidates[::-1].tolist(), strict=True):
        note = int(notes[packet])
        if is_candidate and (
            (codec not in WITH_LAYERS or note >> LAYER_PLACE >= layer_after)
            and (codec not in CONTINUES_STATE or resets_after)
        ):
            continue
        kept.append(packet)
        layer_after = max(layer_after, note >> LAYER_PLACE)
        resets_after = note & RESETS != 0
    return kept[::-1]


def _check_sets(packets: Places, notes: NDArray[np.int32]) -> None:
    """Raise `Doubt` if a decoder may lack parameters: some are left out, and the next packet does not bring its own."""
    sets = np.flatnonzero(notes & SETS)
    left_out = np.setdiff1d(sets, packets, assume_unique=True)
    following = np.searchsorted(packets, left_out)
    following = following[following < len(packets)]
    if (notes[packets[following]] & SETS == 0).any():
        raise Doubt("parameters of the decoder are in packets that are left out")


def check_for_dali(kept: Kept, notes: NDArray[np.int32]) -> None:
    """Raise `Doubt` if DALI may count the frames of these packets otherwise: it counts packets, and what is decoded."""
    said = notes[kept.packets]
    if (said & SETS).any():
        raise Doubt("parameters of the decoder change")
    if (said & REPEATS).any():
        raise Doubt("a packet shows a frame that was decoded before")
