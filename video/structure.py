"""The outermost structure of a file: whether it is complete, and its rotation.

FFmpeg reads a truncated file as far as it goes without an error. So the sizes that containers state are checked here:
boxes of mp4 (ISO 14496-12, 4.2), the segment of Matroska (RFC 8794, 4 to 6), the chunk of RIFF. The rotation is read
here because PyAV reports it for decoded frames only.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

MP4_CONTENT = (b"moov", b"mdat", b"moof")
EBML_HEADER = 0x1A45DFA3
MATROSKA_SEGMENT = 0x18538067
ROTATIONS = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}
"""Degrees clockwise, by the upper left 2 x 2 of the matrix in a track header."""


def missing_bytes(video: BinaryIO) -> int:
    """How many bytes are missing at the end of an mp4, mov, mkv, webm or avi file; 0 for any other file."""
    size = video.seek(0, os.SEEK_END)
    video.seek(0)
    head = video.read(12)
    if head[4:8] in (b"ftyp", *MP4_CONTENT, b"wide", b"free", b"skip"):
        end = max((start + length for kind, start, length in mp4_boxes(video) if kind in MP4_CONTENT), default=0)
    elif head[:4] == EBML_HEADER.to_bytes(4, "big"):
        end = _matroska_end(video)
    elif head[:4] == b"RIFF":
        end = 8 + int.from_bytes(head[4:8], "little")
    else:
        return 0
    return max(0, end - size)


def has_moov(video: BinaryIO) -> bool:
    """Whether an mp4 has a moov box, its index."""
    return any(kind == b"moov" for kind, _, _ in mp4_boxes(video))


def rotation_degrees(video: BinaryIO, track_id: int) -> int:
    """The clockwise rotation of an mp4's track for display: 0, 90, 180 or 270.

    From the matrix in its header (ISO 14496-12, 8.3.2); 0 if that mirrors or skews, or is missing.
    """
    for kind, start, length in mp4_boxes(video):
        if kind != b"moov":
            continue
        end = start + length
        for inner, inner_start, inner_length in mp4_boxes(video, _content(video, start), end):
            if inner != b"trak":
                continue
            inner_end = min(inner_start + inner_length, end)
            for leaf, leaf_start, _ in mp4_boxes(video, _content(video, inner_start), inner_end):
                if leaf != b"tkhd":
                    continue
                if (found := _track_rotation(video, _content(video, leaf_start), track_id)) is not None:
                    return found
    return 0


def _content(video: BinaryIO, start: int) -> int:
    """The position of the content of the box at `start`."""
    video.seek(start)
    return start + (16 if video.read(4) == b"\0\0\0\1" else 8)


def _track_rotation(video: BinaryIO, start: int, track_id: int) -> int | None:
    """The rotation in the track header at `start`; None if it is another track's."""
    video.seek(start)
    header = video.read(96)
    # Version 1 has 64-bit times before the track's number and a 64-bit duration after it.
    number, matrix = (20, 52) if header[:1] == b"\1" else (12, 40)
    if len(header) < matrix + 20 or int.from_bytes(header[number : number + 4], "big") != track_id:
        return None
    a, b, _, c, d = struct.unpack_from(">5i", header, matrix)
    return ROTATIONS.get(tuple(value / 65536 for value in (a, b, c, d)), 0)


def mp4_boxes(video: BinaryIO, start: int = 0, stop: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, position and length in bytes of each box between `start` and `stop`, by default of the outermost ones.

    The last one may extend beyond the end.
    """
    size = video.seek(0, os.SEEK_END)
    size = size if stop is None else min(size, stop)
    position = start
    while position + 8 <= size:
        video.seek(position)
        header = video.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - position  # to the end of the file
        if length < 8:
            return
        yield header[4:8], position, length
        position += length


def _matroska_end(video: BinaryIO) -> int:
    """The end of the segment that follows the header; 0 if its size is unknown (a live recording)."""
    video.seek(4)
    header_size = _vint(video)
    if header_size is None:
        return 0
    video.seek(header_size, os.SEEK_CUR)
    if int.from_bytes(video.read(4), "big") != MATROSKA_SEGMENT:
        return 0
    segment_size = _vint(video)
    return 0 if segment_size is None else video.tell() + segment_size


def _vint(video: BinaryIO) -> int | None:
    """A variable-size integer; None if it is truncated, or all its bits are set, which means unknown."""
    first = video.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    content = bytes([first[0] & (0xFF >> length)]) + video.read(length - 1)
    value = int.from_bytes(content, "big")
    return None if value == (1 << 7 * length) - 1 or len(content) < length else value
