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
    group_of = np.searchsorted(starts, np.arange(len(order)), side="right") - 1  # -1: before the first group
    inside = (group_of >= 0) & (np.arange(len(order)) <= last[group_of])
    if (notes[inside] & DOUBT).any():
        raise Doubt("a packet is not a usual one")
    leading = inside & (order < order[starts[group_of]]) & ~linked[group_of]
    leaves = np.zeros(len(order), np.bool_)
    if codec in WITH_LAYERS:
        leaves = (notes & RASL != 0) & ~linked[group_of]
        leading &= notes & RADL == 0
    if (leading & ~leaves & (notes & UNREFERENCED == 0)).any():
        raise Doubt("a reference is displayed before its keyframe")
    for group in np.flatnonzero(linked & (last >= 0) & ~np.append(False, linked[:-1])).tolist():
        if _has_no_trailing(notes[starts[group - 1] : starts[group]]):
            raise Doubt("leading pictures may refer to leading pictures")
    has_radl = np.zeros(len(starts), np.bool_)
    has_radl[groups[notes[wanted] & RADL != 0]] = True
    leaves |= (notes & RADL != 0) & ~has_radl[group_of]
    inside &= ~leaves
    candidates = (notes & UNREFERENCED != 0) & ~is_wanted
    if codec not in CONTINUES_STATE and not (notes >> LAYER_PLACE).any():
        packets = np.flatnonzero(inside & ~candidates)
    else:
        layers = np.append(np.maximum.reduceat(notes >> LAYER_PLACE, starts)[1:], 0)
        layers_after = np.where(np.append(linked[1:], False), layers, 0).tolist()
        packets = _without(np.flatnonzero(inside), candidates, group_of, layers_after, notes, codec)
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
    packets: Places,
    candidates: NDArray[np.bool_],
    group_of: Places,
    layers_after: list[int],
    notes: NDArray[np.int32],
    codec: str,
) -> Places:
    """Those of `packets`, ascending, without those of the `candidates` that nothing kept depends on.

    `candidates`, `group_of` and `notes` are of all packets. `layers_after` (groups) is the highest temporal
    layer of frames behind each group that may refer to it.
    """
    kept = []
    previous = -1
    layer_after, resets_after = 0, False
    backwards = packets[::-1]
    said = zip(*(values[backwards].tolist() for values in (candidates, group_of, notes)), strict=True)
    for packet, (is_candidate, group, note) in zip(backwards.tolist(), said, strict=True):
        if group != previous:
            previous, layer_after, resets_after = group, layers_after[group], False
        if is_candidate and (
            (codec not in WITH_LAYERS or note >> LAYER_PLACE >= layer_after)
            and (codec not in CONTINUES_STATE or resets_after)
        ):
            continue
        kept.append(packet)
        layer_after = max(layer_after, note >> LAYER_PLACE)
        resets_after = note & RESETS != 0
    return np.array(kept[::-1], np.int64)


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
