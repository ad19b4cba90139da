"""Which packets a decoder can do without: whole groups of pictures that nobody wants, and frames nothing refers to."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UNREFERENCED_ARE_MARKED = ("h264",)
"""Codecs in which a frame that says so (`nal_ref_idc` 0) is referred to by no other, whatever the encoder.

HEVC's sub-layer non-reference pictures may still be referred to from a higher temporal layer.
"""


class PacketUse(IntEnum):
    """What a packet is decoded for."""

    NONE = 0
    """Nothing: it is left out."""
    REFERENCE = 1
    """Frames that are wanted may refer to its frame."""
    WANTED = 2
    """Its own frame."""


def packet_uses(
    pts: NDArray[np.int64], keyframes: NDArray[np.bool_], wanted_pts: NDArray[np.int64]
) -> NDArray[np.int8]:
    """(packets,) a `PacketUse` for each packet, in decoding order, where the frames shown at `wanted_pts` are wanted.

    A group of pictures begins with a keyframe and is needed up to the last frame wanted of it. A wanted frame that is
    shown before its group's keyframe may refer to the group before, which is then needed whole.
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
