"""The wanted part of a video as a file of its own, without decoding it.

The file has one stream: the packets that the wanted frames need (`video.keeping`), with new timestamps
(`video.stripped_file`). It is written while the video is read.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from video.bits import nal_units
from video.container import FrameTable, open_video
from video.keeping import Doubt, Kept, check_for_dali, kept_packets
from video.limits import Limits
from video.packet_notes import HEVC_CRA, HIDDEN
from video.packets import nal_length_bytes, vp9_frames
from video.strip import NOT_STRIPPED, Strip, Stripped
from video.stripped_file import CountedFile, Place, written_to

IN_ORDER = ("vp8", "vp9", "av1", "libdav1d", "mjpeg")
"""Codecs whose frames are displayed in decoding order."""
CHANGES = ("new_extradata", "param_change")
"""What a container may say with a packet that a new file does not."""
BROKEN_LINK = 17
"""The kind of an HEVC picture at which decoding begins anew: of leading pictures, only those follow that decode."""
MAX_FRAMES_OF_PACKET = 8


def stripped_video(
    video: BinaryIO, table: FrameTable, frame_indices: NDArray[np.integer], out: BinaryIO, strip: Strip, limits: Limits
) -> Stripped:
    """Write the frames `frame_indices` (ascending) of `video` to `out`, which is as large as the file may become.

    `table` has notes. Nothing is written if `strip` says so, or if it is not certain that the file's frames are the
    wanted ones.
    """
    if strip == Strip.NEVER or table.packet_notes is None or table.is_damaged:
        return NOT_STRIPPED
    with open_video(video, limits) as (container, stream):
        codec, extradata = stream.codec_context.codec.name, stream.codec_context.extradata
        try:
            order, wanted = _order_and_wanted(table, frame_indices, codec)
            kept = kept_packets(order, table.packet_is_keyframe, table.packet_notes, wanted, codec)
            if strip == Strip.WHERE_SAFE:
                check_for_dali(kept, table.packet_notes)
            places, delay = _places(order, table.packet_is_keyframe, table.packet_notes, kept)
            counted = CountedFile(out)
            with written_to(counted, stream) as written:
                packets = _chosen((packet for packet in container.demux(stream) if packet.size), kept)
                hidden: list[bytes] = []
                for packet, is_spliced, place in zip(packets, kept.spliced, places, strict=True):
                    if any(packet.has_sidedata(change) for change in CHANGES):
                        raise Doubt("the container says that parameters of the decoder change")
                    content: bytes | memoryview = memoryview(packet)
                    if is_spliced:
                        content = as_broken_link(bytes(content), nal_length_bytes(codec, extradata))
                    if place is None:
                        hidden += map(bytes, vp9_frames(content))
                        continue
                    if hidden:
                        content = superframe([*hidden, *map(bytes, vp9_frames(content))])
                        hidden = []
                    written.add(content, place, delay)
        except (Doubt, av.FFmpegError, OSError, ValueError):
            return NOT_STRIPPED
    displayed = {int(packet): place.displayed for packet, place in zip(kept.packets, places, strict=True) if place}
    return Stripped(counted.bytes, [displayed[packet] for packet in wanted.tolist()])


def _order_and_wanted(
    table: FrameTable, frame_indices: NDArray[np.integer], codec: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(packets,) what puts packets into the order of display, and (wanted,) the packets of the wanted frames.

    Raises `Doubt` if timestamps do not tell.
    """
    assert table.packet_notes is not None
    shown = np.flatnonzero(table.packet_notes & HIDDEN == 0)
    if table.pts is not None and table.packet_pts is not None:
        by_pts = shown[np.argsort(table.packet_pts[shown], kind="stable")]
        ascending = table.packet_pts[by_pts]
        if (np.diff(ascending) == 0).any():
            raise Doubt("two packets have the same timestamp")
        return table.packet_pts, by_pts[np.searchsorted(ascending, table.pts[frame_indices])]
    if codec not in IN_ORDER or not table.packet_is_keyframe[0]:
        raise Doubt("there are no timestamps")
    if len(shown) != table.info.frames:
        raise Doubt("there are no timestamps, and frames are not shown")
    return np.arange(len(table.packet_notes)), shown[frame_indices]


def _places(
    order: NDArray[np.int64], keyframes: NDArray[np.bool_], notes: NDArray[np.int32], kept: Kept
) -> tuple[list[Place | None], int]:
    """Where each kept packet goes, None if its frame is hidden, and by how many frames decoding runs ahead of display.

    A hidden frame goes into the next packet. Raises `Doubt` if decoding does not begin with the first frame.
    """
    is_hidden = notes[kept.packets] & HIDDEN != 0
    if is_hidden[-1]:
        raise Doubt("the last packet is not shown")
    shown = kept.packets[~is_hidden]
    displayed = np.empty(len(shown), np.int64)
    displayed[np.argsort(order[shown], kind="stable")] = np.arange(len(shown))
    decoded = np.arange(len(shown))
    # Decoding can begin at a packet into which a hidden keyframe goes.
    first = np.append(0, np.flatnonzero(~is_hidden)[:-1] + 1)
    begins = keyframes[kept.packets[first]]
    highest_before = np.maximum.accumulate(np.append(-1, displayed[:-1]))
    is_keyframe = begins & (displayed == decoded) & (highest_before == decoded - 1)
    if not is_keyframe[0]:
        raise Doubt("decoding does not begin with the first frame")
    places: list[Place | None] = [None] * len(kept.packets)
    for number, packet in enumerate(np.flatnonzero(~is_hidden).tolist()):
        places[packet] = Place(number, int(displayed[number]), bool(is_keyframe[number]))
    return places, int((decoded - displayed).max())


def _chosen(packets: Iterable[Packet], kept: Kept) -> Iterator[Packet]:
    """The kept ones of all packets of a stream; the file is not read beyond the last one."""
    following = iter(kept.packets.tolist())
    wanted = next(following)
    for number, packet in enumerate(packets):
        if number == wanted:
            yield packet
            if (wanted := next(following, -1)) < 0:
                return


def as_broken_link(packet: bytes, length_bytes: int) -> bytes:
    """An HEVC random access picture as one before which the stream was cut (ITU-T H.265, 7.4.2.2: BLA for CRA)."""
    content = bytearray(packet)
    for place, unit in nal_units(packet, length_bytes):
        if unit[0] >> 1 & 63 == HEVC_CRA:
            content[place] = unit[0] & 0x81 | BROKEN_LINK << 1
    return bytes(content)


def superframe(frames: list[bytes]) -> bytes:
    """A packet of several VP9 frames (VP9 bitstream specification, Annex B); raises `Doubt` if they are too many."""
    if len(frames) > MAX_FRAMES_OF_PACKET:
        raise Doubt("too many frames are hidden in a row")
    size_bytes = (max(map(len, frames)).bit_length() + 7) // 8
    if size_bytes > 4:
        raise Doubt("a frame is too large")
    marker = bytes([0b11000000 | size_bytes - 1 << 3 | len(frames) - 1])
    sizes = b"".join(len(frame).to_bytes(size_bytes, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker
