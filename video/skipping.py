"""Which packets need not be decoded: groups of pictures without wanted frames, and frames that nothing refers to."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UNREFERENCED_ARE_MARKED = ("h264",)
"""Codecs in which no frame refers to one that is marked as unreferenced (`nal_ref_idc` 0), whatever the encoder.

HEVC's sub-layer non-reference pictures may still be referred to from a higher temporal layer.
"""


class PacketUse(IntEnum):
    """Why a packet is decoded."""

    NONE = 0
    """It is skipped."""
    REFERENCE = 1
    """Wanted frames may refer to its frame."""
    WANTED = 2
    """Its frame is wanted."""


def packet_uses(
    pts: NDArray[np.int64], keyframes: NDArray[np.bool_], wanted_pts: NDArray[np.int64]
) -> NDArray[np.int8]:
    """(packets,) int8: the `PacketUse` of each packet, in decoding order, if the frames at `wanted_pts` are wanted.

    A group of pictures begins with a keyframe and is needed up to its last wanted frame. A wanted frame that is
    displayed before its group's keyframe may refer to the group before, which is then needed whole.
    """
    first_of_group = np.unique(np.append(0, np.flatnonzero(keyframes)))
    wanted = np.flatnonzero(np.isin(pts, wanted_pts))
    uses = np.full(len(pts), PacketUse.NONE, np.int8)
    for packet, group in zip(wanted, np.searchsorted(first_of_group, wanted, side="right") - 1, strict=True):
        first = first_of_group[group]
        if pts[packet] < pts[first] and group > 0:
            first = first_of_group[group - 1]
        uses[first : packet + 1] = PacketUse.REFERENCE
    uses[wanted] = PacketUse.WANTED
    return uses
