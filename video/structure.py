"""The outermost structure of a file: whether it is complete.

FFmpeg reads a truncated file as far as it goes without an error. So the sizes that containers state are checked here:
boxes of mp4 (ISO 14496-12, 4.2), the segment of Matroska (RFC 8794, 4 to 6), the chunk of RIFF.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

MP4_CONTENT = (b"moov", b"mdat", b"moof")
EBML_HEADER = 0x1A45DFA3
MATROSKA_SEGMENT = 0x18538067
RIFF_SIZES_UNKNOWN = (0, 0xFFFFFFFF)
"""What a program writes into a pipe, because it cannot go back to fill in the size."""


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
        riff_size = int.from_bytes(head[4:8], "little")
        end = 0 if riff_size in RIFF_SIZES_UNKNOWN else 8 + riff_size
    else:
        return 0
    return max(0, end - size)


def has_moov(video: BinaryIO) -> bool:
    """Whether an mp4 has a moov box, its index."""
    return any(kind == b"moov" for kind, _, _ in mp4_boxes(video))


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
