"""Whether a file is complete, as far as its container lets that be known.

FFmpeg reads a truncated file as far as it goes without an error. mp4, Matroska, RIFF and ASF state their size; the
others are a chain of pieces, of which the last one must be whole. An MPEG-TS, MPEG-PS or FLV that was cut between two
packets looks like a shorter one.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from video.formats import ASF_HEADER, PACK_HEADER
from video.structure import missing_bytes

MAX_PIECES = 5_000_000
"""A file with more pieces is not followed to its end: that would take longer than reading it."""
TS_SYNC = 0x47
TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Bytes of a packet, and where its sync byte is: MPEG-TS, M2TS, MPEG-TS with error correction."""
TS_SYNCS = 3
"""Sync bytes in a row that make a file an MPEG-TS."""
FLV_TAGS = (8, 9, 18)
OGG_LAST_PAGE = 4
GIF_EXTENSION, GIF_IMAGE, GIF_TRAILER = 0x21, 0x2C, 0x3B
PROGRAM_END = 0xB9
FIRST_STREAM = 0xBB
"""The smallest start code in MPEG-PS that a length follows."""


@dataclass(frozen=True)
class Truncation:
    """What a truncated file lacks."""

    why: str
    """The end of a sentence."""
    missing_bytes: int | None = None
    """Bytes that are missing; None if the container does not say how long the file was."""


def truncation(video: BinaryIO) -> Truncation | None:
    """What is missing at the end of a file; None if nothing is, or its container does not let that be known."""
    if missing := missing_bytes(video):
        return Truncation(_missing(missing), missing)
    size = video.seek(0, os.SEEK_END)
    video.seek(0)
    head = video.read(16)
    for magic, follow in _CHAINS.items():
        if head.startswith(magic):
            return _buffered(video, size, follow)
    if packet := ts_packet_bytes(video):
        rest = size % packet
        return Truncation(f"it ends within a packet, {packet - rest} bytes too early") if rest else None
    return None


def ts_packet_bytes(video: BinaryIO) -> int:
    """The size of the packets of an MPEG-TS or M2TS file in bytes; 0 for any other file."""
    video.seek(0)
    head = video.read(max(packet for packet, _ in TS_PACKETS) * TS_SYNCS)
    for packet, sync in TS_PACKETS:
        if head[sync::packet][:TS_SYNCS] == bytes([TS_SYNC]) * TS_SYNCS:
            return packet
    return 0


Follow = Callable[[BinaryIO, int], Truncation | None]
"""Follows the pieces of a file of this many bytes to its end."""


def _buffered(video: BinaryIO, size: int, follow: Follow) -> Truncation | None:
    reader = io.BufferedReader(cast(io.RawIOBase, video), 1 << 16)
    try:
        return follow(cast(BinaryIO, reader), size)
    finally:
        reader.detach()  # or it would close the file


def _missing(count: int) -> str:
    return f"{count} bytes are missing at its end"


def _at(video: BinaryIO, position: int, count: int) -> bytes:
    video.seek(position)
    return video.read(count)


def _asf(video: BinaryIO, size: int) -> Truncation | None:
    """Objects: an identifier of 16 bytes and the length of all in 8."""
    position = 0
    for _ in range(MAX_PIECES):
        length = int.from_bytes(_at(video, position + 16, 8), "little")
        if length < 24:  # a live recording states none
            return None
        position += length
        if position >= size:
            break
    return Truncation(_missing(position - size), position - size) if position > size else None


def _flv(video: BinaryIO, size: int) -> Truncation | None:
    """Tags: a kind, the length of the content in 3 bytes, 7 more; then the length of the tag in 4 bytes."""
    position = int.from_bytes(_at(video, 5, 4), "big") + 4
    for _ in range(MAX_PIECES):
        tag = _at(video, position, 11)
        if not tag or (tag[0] & 0x1F) not in FLV_TAGS:
            return None
        end = position + 11 + int.from_bytes(tag[1:4], "big")
        if len(tag) < 11 or end > size:
            return Truncation("it ends within a tag")
        position = end + 4
    return None


def _mpegps(video: BinaryIO, size: int) -> Truncation | None:
    """Packs and packets, each with a start code; all but the pack header state their length."""
    position = 0
    for _ in range(MAX_PIECES):
        head = _at(video, position, 14)
        if not head.strip(b"\0") or not b"\0\0\1".startswith(head[:3]):
            return None
        if len(head) < 6:
            return None if head[3:] == bytes([PROGRAM_END]) else Truncation("it ends within a packet")
        if head[3] == PACK_HEADER[3]:
            length = 14 + (head[13] & 7) if head[4] >> 6 == 1 and len(head) == 14 else 12
        elif head[3] >= FIRST_STREAM:
            length = 6 + int.from_bytes(head[4:6], "big")
        else:
            length = 4
        position += length
        if position > size:
            return Truncation(f"it ends within a packet, {position - size} bytes too early")
    return None


def _ogg(video: BinaryIO, size: int) -> Truncation | None:
    """Pages: a header of 27 bytes, the lengths of the segments in a byte each, the segments (RFC 3533)."""
    position, last = 0, True
    for _ in range(MAX_PIECES):
        head = _at(video, position, 27 + 255)
        if not head:
            return None if last else Truncation("its last page does not end the stream")
        if not head.startswith(b"OggS"):
            return None
        segments = head[26] if len(head) >= 27 else 0
        end = position + 27 + segments + sum(head[27 : 27 + segments])
        if len(head) < 27 + segments or end > size:
            return Truncation("it ends within a page")
        position, last = end, bool(head[5] & OGG_LAST_PAGE)
    return None


def _gif(video: BinaryIO, size: int) -> Truncation | None:
    """A header, the palette, then extensions and images in blocks of up to 255 bytes, then a trailer."""
    position = 13 + _palette_bytes(_at(video, 10, 1))
    pieces = 0
    while position < size:
        head = _at(video, position, 10)
        if head[0] == GIF_EXTENSION:
            position += 2
        elif head[0] == GIF_IMAGE:
            position += 11 + _palette_bytes(head[9:])
        else:
            return None
        while (block := _at(video, position, 1)) and block[0]:
            position += 1 + block[0]
            pieces += 1
            if pieces == MAX_PIECES:
                return None
        position += 1
    return Truncation("it ends before its last picture does")


def _palette_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


_CHAINS: dict[bytes, Follow] = {ASF_HEADER: _asf, b"FLV": _flv, PACK_HEADER: _mpegps, b"OggS": _ogg, b"GIF8": _gif}
"""How to follow a file, by its first bytes."""
