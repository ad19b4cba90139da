"""Reading single bits of a codec's headers."""

import struct
from collections.abc import Iterator

Packet = bytes | memoryview

UINT32 = struct.Struct(">I").unpack_from
"""Reads the big-endian number of four bytes at a place, in a tuple."""


class BitReader:
    """Bits of `content`, the most significant one of each byte first. Beyond its end, reading raises EOFError."""

    def __init__(self, content: Packet) -> None:
        self._number = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def read(self, count: int) -> int:
        """The next `count` bits as a number."""
        if count > self._left:
            raise EOFError("a header is too short")
        self._left -= count
        return self._number >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        """Leave bits out."""
        self.read(count)

    def exp_golomb(self) -> int:
        """An unsigned number as in H.264 and HEVC, `ue(v)`; AV1's `uvlc()` is the same."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                raise EOFError("a number in a header is too long")
        return (1 << zeros) - 1 + self.read(zeros)


START_CODE = b"\0\0\1"


def nal_units(packet: Packet, length_bytes: int) -> Iterator[tuple[int, Packet]]:
    """Place and content of the NAL units of a packet of H.264 or HEVC with content, up to the first one cut off.

    Each has its length before it in `length_bytes`, or start codes separate them (Annex B) if that is 0.
    """
    if length_bytes:
        place, size = length_bytes, len(packet)
        while place < size:
            if length_bytes == 4:  # the usual length, read faster
                end = place + UINT32(packet, place - 4)[0]
            else:
                end = place + int.from_bytes(packet[place - length_bytes : place], "big")
            if end == place or end > size:
                return
            yield place, packet[place:end]
            place = end + length_bytes
        return
    content = bytes(packet)
    place = content.find(START_CODE)
    while place >= 0:
        place += len(START_CODE)
        end = content.find(START_CODE, place)
        if unit := content[place:] if end < 0 else content[place:end]:
            yield place, unit
        place = end


def without_emulation_prevention(unit: Packet) -> bytes:
    """A NAL unit without the bytes that keep start codes out of it."""
    return bytes(unit).replace(b"\0\0\3", b"\0\0")
