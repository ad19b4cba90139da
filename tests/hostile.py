"""Files that nobody should send: small videos of every kind, taken apart along their structure and at random.

`SEEDS` are whole files, `structural_mutations` all that can be wrong with each box, element and chunk of one, and
`random_mutation` something else. `UNUSUAL`, in `tests.unusual`, are valid files that few encoders write.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.synthetic import encode

FAST = {"preset": "ultrafast", "g": "5"}
SMALL: dict[str, Any] = {"width": 64, "height": 48}
FRAMES = 8

SEEDS: dict[str, Callable[[], bytes]] = {
    "mp4 h264": lambda: encode(FRAMES, **SMALL, options=FAST),
    "mp4 h264 b-frames": lambda: encode(14, **SMALL, options={"preset": "medium", "g": "7"}),
    "mp4 fragmented": lambda: encode(
        FRAMES, **SMALL, options=FAST, container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mp4 hevc": lambda: encode(FRAMES, **SMALL, codec="libx265", options={"preset": "ultrafast"}),
    "mp4 av1": lambda: encode(FRAMES, **SMALL, codec="libsvtav1", options={"preset": "12"}),
    "mov mjpeg": lambda: encode(FRAMES, **SMALL, codec="mjpeg", container="mov"),
    "mkv h264": lambda: encode(FRAMES, **SMALL, container="matroska", options=FAST),
    "webm vp9": lambda: encode(FRAMES, **SMALL, codec="libvpx-vp9", container="webm", options={"cpu-used": "8"}),
    "webm vp8": lambda: encode(FRAMES, **SMALL, codec="libvpx", container="webm"),
    "avi mpeg4": lambda: encode(FRAMES, **SMALL, codec="mpeg4", container="avi"),
    "avi mjpeg": lambda: encode(FRAMES, **SMALL, codec="mjpeg", container="avi"),
}  # fmt: skip


@cache
def seed(name: str) -> bytes:
    """A whole file of `SEEDS`."""
    return SEEDS[name]()


@dataclass(frozen=True)
class Element:
    """A box of a mp4, an element of a Matroska file or a chunk of an avi."""

    kind: bytes
    """Its name, as the file has it."""
    start: int
    """Where it begins."""
    size_start: int
    """Where its size is written."""
    size_bytes: int
    """How many bytes that takes."""
    content: int
    """Where what it holds begins."""
    end: int
    """Where it ends."""
    children: list["Element"] = field(default_factory=list)
    """What it holds, where that are elements."""

    def walk(self) -> Iterator["Element"]:
        """It, and all below."""
        yield self
        for child in self.children:
            yield from child.walk()


def elements(video: bytes) -> list[Element]:
    """Every element of a mp4, mov, mkv, webm or avi file, outer ones first."""
    if video[4:8] == b"ftyp":
        outer = _boxes(video, 0, len(video))
    elif video[:4] == b"RIFF":
        outer = _chunks(video, 0, len(video))
    else:
        outer = _ebml(video, 0, len(video))
    return [element for top in outer for element in top.walk()]


BOXES_OF_BOXES = {
    *(b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"udta", b"mvex", b"moof", b"traf", b"mfra"),
}
HEADERS_OF_BOXES = {b"stsd": 8, b"dref": 8, b"meta": 4, b"avc1": 78, b"hev1": 78, b"hvc1": 78, b"av01": 78, b"jpeg": 78}
"""Bytes between the header of a box and the boxes in it."""


def _boxes(video: bytes, start: int, stop: int) -> list[Element]:
    found = []
    while start + 8 <= stop:
        size, kind = int.from_bytes(video[start : start + 4], "big"), video[start + 4 : start + 8]
        end = start + size
        if size < 8 or end > stop:
            break
        header = 0 if kind in BOXES_OF_BOXES else HEADERS_OF_BOXES.get(kind)
        children = [] if header is None else _boxes(video, start + 8 + header, end)
        found.append(Element(kind, start, start, 4, start + 8, end, children))
        start = end
    return found


def _chunks(video: bytes, start: int, stop: int) -> list[Element]:
    found = []
    while start + 8 <= stop:
        kind, size = video[start : start + 4], int.from_bytes(video[start + 4 : start + 8], "little")
        end = start + 8 + size
        if end > stop:
            break
        children = _chunks(video, start + 12, end) if kind in (b"RIFF", b"LIST") else []
        found.append(Element(kind, start, start + 4, 4, start + 8, end, children))
        start = end + size % 2
    return found


MASTERS = {
    *("18538067", "1549a966", "1654ae6b", "ae", "e0", "1f43b675", "1c53bb6b", "bb", "b7", "114d9b74", "4dbb"),
    *("1254c367", "7373", "67c8", "a0", "1a45dfa3"),
}  # fmt: skip
"""Identifiers of Matroska elements that hold elements."""


def _ebml(video: bytes, start: int, stop: int) -> list[Element]:
    found = []
    while start < stop and video[start]:
        identifier_bytes = 9 - video[start].bit_length()
        size_start = start + identifier_bytes
        if size_start >= stop or not video[size_start]:
            break
        size_bytes = 9 - video[size_start].bit_length()
        content = size_start + size_bytes
        size = int.from_bytes(video[size_start:content], "big") & ((1 << 7 * size_bytes) - 1)
        end = stop if size == (1 << 7 * size_bytes) - 1 else content + size
        if end > stop:
            break
        kind = video[start:size_start]
        children = _ebml(video, content, end) if kind.hex() in MASTERS else []
        found.append(Element(kind, start, size_start, size_bytes, content, end, children))
        start = end
    return found


WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What counts, offsets and durations are replaced by."""


def structural_mutations(video: bytes) -> Iterator[tuple[str, bytes]]:
    """What is done to which element of a file, and the file that this gives."""
    for element in elements(video):
        name = element.kind.hex() if element.kind[0] > 127 else element.kind.decode("latin-1")
        where = f"{name} at {element.start}"
        before, it, after = video[: element.start], video[element.start : element.end], video[element.end :]
        content = video[element.content : element.end]
        yield f"{where} is missing", before + after
        yield f"{where} is there twice", before + it + it + after
        yield f"{where} is the last thing", before + it
        yield f"{where} is empty", video[: element.content] + after
        yield f"{where} is zeros", video[: element.content] + bytes(len(content)) + after
        yield f"{where} is ones", video[: element.content] + b"\xff" * len(content) + after
        yield f"{where} is cut in half", video[: element.content + len(content) // 2] + after
        yield f"{where} has another name", before + b"zzzz"[: len(element.kind)] + it[len(element.kind) :] + after
        yield from _wrong_sizes(video, element, where)
        # Counts, offsets, durations, dimensions: whatever stands in the first words.
        for place in range(element.content, min(element.content + 96, element.end - 3), 4):
            for word in WORDS:
                yield f"{where}: {word:#x} at {place}", video[:place] + struct.pack(">I", word) + video[place + 4 :]


def _wrong_sizes(video: bytes, element: Element, where: str) -> Iterator[tuple[str, bytes]]:
    little = video[:4] == b"RIFF"
    high = (1 << 8 * element.size_bytes) - 1
    right = element.end - element.start
    for size in (0, 1, 7, 8, right - 1, right + 1, right * 2, high >> 1, high):
        written = (size & high).to_bytes(element.size_bytes, "little" if little else "big")
        rest = video[element.size_start + element.size_bytes :]
        yield f"{where} says it has {size:#x} bytes", video[: element.size_start] + written + rest


def random_mutation(video: bytes, choose: random.Random) -> bytes:
    """A file with a few bits flipped, bytes written over, parts moved, or its end missing."""
    changed = bytearray(video)
    for _ in range(choose.choice((1, 1, 2, 4, 16))):
        if len(changed) < 2:
            break
        place = choose.randrange(len(changed))
        length = min(choose.choice((1, 2, 4, 8, 64, 512)), len(changed) - place)
        kind = choose.randrange(8)
        if kind < 3:
            changed[place] ^= 1 << choose.randrange(8)
        elif kind == 3:
            changed[place : place + length] = choose.randbytes(length)
        elif kind == 4:
            del changed[place : place + length]
        elif kind == 5:
            changed[place:place] = changed[choose.randrange(len(changed)) :][:length]
        elif kind == 6:
            changed[place : place + 4] = struct.pack(choose.choice("<>") + "I", choose.choice(WORDS))
        elif choose.random() < 0.5:
            del changed[place:]
    return bytes(changed)
