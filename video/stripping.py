"""The wanted part of a video as a file of its own, without decoding it.

The file has one stream: the packets that the wanted frames need (`video.keeping`), with new timestamps
(`video.stripped_file`). It is written while the video is read.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video.bits import nal_units
from video.container import FrameTable, open_video
from video.decoding import frames_to_decode
from video.demuxing import demux
from video.keeping import Doubt, Kept, check_for_dali, kept_packets
from video.limits import Limits
from video.packet_notes import HEVC_CRA, HIDDEN, UNREFERENCED
from video.packets import nal_length_bytes, vp9_frames
from video.skipping import UNREFERENCED_ARE_MARKED, PacketUse, packet_uses
from video.strip import NOT_STRIPPED, Strip, Stripped
from video.stripped_file import CountedFile, Place, written_to

IN_ORDER = ("vp8", "vp9", "av1", "libdav1d", "mjpeg")
"""Codecs whose frames are displayed in decoding order."""
SECONDS_PER_PIXEL = 2e-9
"""Of decoding a frame that nothing needs."""
SECONDS_PER_PIXEL_OF_OPENING = 8e-9
"""FFmpeg opens the whole video twice for decoding, and a stripped one once; each time it decodes some frames."""
SECONDS_PER_PACKET, SECONDS_PER_KEPT_PACKET = 11e-6, 20e-6
"""Of reading a packet of the whole video when decoding; of writing a packet and reading it again."""
SECONDS_PER_KEPT_BYTE = 2e-9
"""Of writing it, and of handing it from process to process."""
REWOUND = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Demuxers that go back to the first packet; others are opened again, which takes longer."""
BEFORE_ANYTHING = -(1 << 60)
"""A time in microseconds."""
CHANGES = ("new_extradata", "param_change")
"""What a container may say with a packet that a new file does not."""
BROKEN_LINK = 17
"""The kind of an HEVC picture at which decoding begins anew: of leading pictures, only those follow that decode."""
MAX_FRAMES_OF_PACKET = 8


def stripped_video(
    video: BinaryIO,
    container: InputContainer,
    stream: VideoStream,
    table: FrameTable,
    frame_indices: NDArray[np.integer],
    out: BinaryIO,
    strip: Strip,
    limits: Limits,
) -> Stripped:
    """Write the frames `frame_indices` (ascending) of `video` to `out`, which is as large as the file may become.

    `container` and `stream` are open, and `table` was read from them, with notes. Nothing is written if `strip` says
    so, or if it is not certain that the file's frames are the wanted ones.
    """
    if strip == Strip.NEVER or table.packet_notes is None or table.is_damaged:
        return NOT_STRIPPED
    codec = stream.codec_context.codec.name
    try:
        order, wanted = _order_and_wanted(table, frame_indices, codec)
        kept = kept_packets(order, table.packet_is_keyframe, table.packet_notes, wanted, codec)
        if strip == Strip.WHERE_SAFE:
            check_for_dali(kept, table.packet_notes)
        if strip == Strip.WHERE_IT_PAYS and not _pays(table, frame_indices, len(kept.packets), codec, _bytes_of(video)):
            return NOT_STRIPPED
        places, delay = _places(order, table.packet_is_keyframe, table.packet_notes, kept)
        counted = CountedFile(out)
        with (
            _kept_from(video, container, stream, table, kept, limits) as packets,
            written_to(counted, stream) as written,
        ):
            for packet, place in _rewritten(packets, stream, kept, places):
                written.add(packet, place, delay)
    except (Doubt, av.FFmpegError, OSError, ValueError):
        return NOT_STRIPPED
    if not np.isin(wanted, kept.packets).all():
        raise ValueError("a wanted frame is not kept")
    of_wanted = [places[number] for number in np.searchsorted(kept.packets, wanted).tolist()]
    return Stripped(counted.bytes, [place.displayed for place in of_wanted if place is not None])


def _pays(table: FrameTable, frame_indices: NDArray[np.integer], kept: int, codec: str, file_bytes: int) -> bool:
    """Whether writing `kept` packets and decoding them takes less time than decoding from the whole video."""
    spared = frames_to_decode(table, frame_indices) - kept
    if codec in UNREFERENCED_ARE_MARKED:
        spared -= _left_out_by_ffmpeg(table, frame_indices)
    pixels, packets = table.info.width * table.info.height, len(table.packet_is_keyframe)
    saved = pixels * (spared * SECONDS_PER_PIXEL + SECONDS_PER_PIXEL_OF_OPENING) + packets * SECONDS_PER_PACKET
    return saved > kept * (SECONDS_PER_KEPT_PACKET + file_bytes / packets * SECONDS_PER_KEPT_BYTE)


def _bytes_of(video: BinaryIO) -> int:
    """The size of a file that FFmpeg is reading."""
    place = video.tell()
    size = video.seek(0, os.SEEK_END)
    video.seek(place)
    return size


def _left_out_by_ffmpeg(table: FrameTable, frame_indices: NDArray[np.integer]) -> int:
    """How many frames of the whole video FFmpeg would be told to decode, and leaves out because nothing needs them."""
    assert table.packet_pts is not None
    assert table.pts is not None
    assert table.packet_notes is not None
    uses = packet_uses(table.packet_pts, table.packet_is_keyframe, table.pts[frame_indices])
    return int(np.count_nonzero((uses == PacketUse.REFERENCE) & (table.packet_notes & UNREFERENCED != 0)))


def _rewritten(
    packets: Iterable[Packet], stream: VideoStream, kept: Kept, places: list[Place | None]
) -> Iterator[tuple[Packet, Place]]:
    """The kept packets as they are written, and where: hidden frames with shown ones, and no flags of the container."""
    hidden: list[bytes] = []
    length_bytes = nal_length_bytes(stream.codec_context.codec.name, stream.codec_context.extradata)
    for packet, is_spliced, place in zip(packets, kept.spliced.tolist(), places, strict=True):
        for data in packet.iter_sidedata():
            if data.data_type in CHANGES:
                raise Doubt("the container says that parameters of the decoder change")
        if place is None:
            hidden += map(bytes, vp9_frames(memoryview(packet)))
        elif hidden:
            yield Packet(superframe([*hidden, *map(bytes, vp9_frames(memoryview(packet)))])), place
            hidden = []
        elif is_spliced:
            yield Packet(as_broken_link(bytes(packet), length_bytes)), place
        else:
            yield Packet(bytes(packet)) if packet.is_discard else packet, place


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
    of_shown = map(Place, range(len(shown)), displayed.tolist(), is_keyframe.tolist())
    for packet, place in zip(np.flatnonzero(~is_hidden).tolist(), of_shown, strict=True):
        places[packet] = place
    return places, int((decoded - displayed).max())


@contextmanager
def _kept_from(
    video: BinaryIO, container: InputContainer, stream: VideoStream, table: FrameTable, kept: Kept, limits: Limits
) -> Iterator[Iterator[Packet]]:
    """The kept packets: those that the table holds, or else read from the file again."""
    if table.packets is not None:
        yield map(table.packets.__getitem__, kept.packets.tolist())
    elif container.format.name in REWOUND:
        container.seek(BEFORE_ANYTHING)
        yield _chosen(demux(container, stream), table, kept)
    else:
        with open_video(video, limits) as (again, same):
            yield _chosen(demux(again, same), table, kept)


def _chosen(packets: Iterable[Packet], table: FrameTable, kept: Kept) -> Iterator[Packet]:
    """The kept ones of all packets of a stream; the file is not read beyond the last one.

    Raises `Doubt` if they are not those of the table.
    """
    following = iter(kept.packets.tolist())
    wanted = next(following)
    for number, packet in enumerate(packet for packet in packets if packet.size):
        if number == wanted:
            if table.packet_pts is not None and packet.pts != table.packet_pts[number]:
                raise Doubt("the packets are not the same when they are read again")
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
