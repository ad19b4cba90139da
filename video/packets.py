"""What the first bits of a packet say of its frame: whether decoding can begin there, and whether it is shown.

A container may flag keyframes that are none, and hold packets with frames that only other frames refer to. So both are
read where decoders read them.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from video.bits import START_CODE, Packet, nal_units

Test = Callable[[Packet], bool]

INTRA_ONLY = ("mjpeg", "prores", "dnxhd")
"""Codecs in which no frame refers to another."""
H264_SLICES, H264_IDR, H264_SEI = range(1, 6), 5, 6
RECOVERY_POINT = 6
HEVC_SLICES, HEVC_RANDOM_ACCESS = range(32), range(16, 24)
MPEG2_PICTURE, MPEG4_PICTURE = START_CODE + b"\0", START_CODE + b"\xb6"
AV1_SEQUENCE_HEADER, AV1_FRAME_HEADER, AV1_FRAME = 1, 3, 6
AV1_CONFIGURATION_BYTES = 4
"""Before the sequence header in the extradata."""


def beginning_test(codec: str, extradata: bytes | None) -> Test | None:
    """The test whether decoding can begin at a packet; None if the codec's packets do not tell it cheaply.

    Decoding can begin at a packet if no frame after it, in the order of display, refers to one before it.
    `codec` is FFmpeg's name of a decoder, `extradata` the stream's.
    """
    if codec in ("h264", "hevc"):
        begins = _h264_begins if codec == "h264" else _hevc_begins
        return partial(begins, length_bytes=nal_length_bytes(codec, extradata))
    if codec in ("av1", "libdav1d"):
        return partial(_av1_begins, is_still=_is_av1_still(av1_units((extradata or b"")[AV1_CONFIGURATION_BYTES:])))
    if codec in INTRA_ONLY:
        return lambda _: True
    return {
        "mpeg1video": _mpeg2_begins,
        "mpeg2video": _mpeg2_begins,
        "mpeg4": _mpeg4_begins,
        "vp8": _vp8_begins,
        "vp9": _vp9_begins,
    }.get(codec)


def shown_test(codec: str, extradata: bytes | None) -> Test | None:
    """The test whether a packet has a frame that is shown; None if each packet of the codec has one."""
    if codec in ("av1", "libdav1d"):
        return partial(_av1_is_shown, is_still=_is_av1_still(av1_units((extradata or b"")[AV1_CONFIGURATION_BYTES:])))
    return {"vp8": _vp8_is_shown, "vp9": _vp9_is_shown}.get(codec)


# H.264 (ITU-T H.264, 7.3) and HEVC (ITU-T H.265, 7.3)


def nal_length_bytes(codec: str, extradata: bytes | None) -> int:
    """Bytes of the length before each NAL unit; 0 if start codes separate the units (Annex B)."""
    place = 4 if codec == "h264" else 21
    if not extradata or len(extradata) <= place or extradata.startswith((START_CODE, b"\0" + START_CODE)):
        return 0
    return (extradata[place] & 3) + 1


def _h264_begins(packet: Packet, length_bytes: int) -> bool:
    for _, unit in nal_units(packet, length_bytes):
        kind = unit[0] & 31
        if kind == H264_SEI and _is_recovery_point(unit):
            return True
        if kind in H264_SLICES:
            return kind == H264_IDR
    return False


def _is_recovery_point(sei: Packet) -> bool:
    """Whether an SEI unit says that everything shown after this frame is right if decoding begins with it.

    With a number of frames other than 0 (`recovery_frame_cnt`) it becomes right in stripes; that is no beginning.
    """
    place = 1
    while place + 2 < len(sei):
        numbers = []
        for _ in range(2):  # type and size of a message: each byte 255 means that another one follows
            number = 0
            while place < len(sei) and sei[place] == 255:
                number, place = number + 255, place + 1
            if place == len(sei):
                return False
            numbers.append(number + sei[place])
            place += 1
        if numbers[0] == RECOVERY_POINT:
            return place < len(sei) and bool(sei[place] & 0x80)
        place += numbers[1]
    return False


def _hevc_begins(packet: Packet, length_bytes: int) -> bool:
    for _, unit in nal_units(packet, length_bytes):
        kind = (unit[0] >> 1) & 63
        if kind in HEVC_SLICES:
            return kind in HEVC_RANDOM_ACCESS
    return False


# MPEG-1 and MPEG-2 (ISO 13818-2, 6.2.3), and MPEG-4 (ISO 14496-2, 6.2.5)


def _mpeg2_begins(packet: Packet) -> bool:
    picture = _after(MPEG2_PICTURE, packet)
    return len(picture) > 1 and picture[1] >> 3 & 7 == 1


def _mpeg4_begins(packet: Packet) -> bool:
    picture = _after(MPEG4_PICTURE, packet)
    return len(picture) > 0 and picture[0] >> 6 == 0


def _after(start: bytes, packet: Packet) -> bytes:
    """The two bytes after the first `start`, as far as there are any."""
    content = bytes(packet)
    place = content.find(start)
    return b"" if place < 0 else content[place + len(start) : place + len(start) + 2]


# VP8 (RFC 6386, 9.1) and VP9 (VP9 bitstream specification, 6.2 and Annex B)


def _vp8_begins(packet: Packet) -> bool:
    return packet[0] & 1 == 0


def _vp8_is_shown(packet: Packet) -> bool:
    return bool(packet[0] & 0x10)


def _vp9_begins(packet: Packet) -> bool:
    is_valid, repeats, is_inter, _ = _vp9_header(vp9_frames(packet)[0])
    return is_valid and not repeats and not is_inter


def _vp9_is_shown(packet: Packet) -> bool:
    headers = map(_vp9_header, vp9_frames(packet))
    return any(repeats or shown or not is_valid for is_valid, repeats, _, shown in headers)


def _vp9_header(frame: Packet) -> tuple[bool, bool, bool, bool]:
    """Whether a frame's header is valid, shows an existing frame, is of an inter frame, and whether that is shown."""
    first = frame[0]
    last_bit = 0 if first & 0x30 == 0x30 else 1  # profile 3 has one bit more before the last three
    show_existing, inter, shown = (bool(first >> last_bit + place & 1) for place in (2, 1, 0))
    return first >> 6 == 2, show_existing, inter, shown


def vp9_frames(packet: Packet) -> list[Packet]:
    """The frames of a packet, at least one: a superframe has several, and their sizes at its end."""
    last = packet[-1]
    count, size_bytes = (last & 7) + 1, (last >> 3 & 3) + 1
    index = len(packet) - 2 - count * size_bytes
    if last >> 5 != 6 or index < 0 or packet[index] != last:
        return [packet]
    frames, start = [], 0
    for place in range(index + 1, len(packet) - 1, size_bytes):
        size = int.from_bytes(packet[place : place + size_bytes], "little")
        if size and start + size <= index:
            frames.append(packet[start : start + size])
        start += size
    return frames or [packet]


# AV1 (AV1 bitstream specification, 5.3, 5.5 and 5.9)


def _av1_begins(packet: Packet, is_still: bool) -> bool:
    units = list(av1_units(packet))
    for kind, content in units:
        if kind in (AV1_FRAME_HEADER, AV1_FRAME):
            # Not an existing frame, a keyframe, and shown: a hidden one leaves frames that refer to earlier ones.
            return is_still or _is_av1_still(units) or content[0] >> 4 == 0b0001
    return False


def _av1_is_shown(packet: Packet, is_still: bool) -> bool:
    units = list(av1_units(packet))
    headers = [content[0] for kind, content in units if kind in (AV1_FRAME_HEADER, AV1_FRAME)]
    return not headers or is_still or _is_av1_still(units) or any(header & 0b10010000 for header in headers)


def _is_av1_still(units: Iterable[tuple[int, Packet]]) -> bool:
    """Whether a sequence header says that each frame is a picture of its own, with a shorter header."""
    return any(kind == AV1_SEQUENCE_HEADER and content[0] & 0b1000 for kind, content in units)


def av1_units(packet: Packet) -> Iterator[tuple[int, Packet]]:
    """The kind and the content of each unit (OBU) that has content."""
    place = 0
    while place < len(packet):
        header = packet[place]
        place += 2 if header & 4 else 1
        size = len(packet) - place
        if header & 2:
            size = shift = 0
            while place < len(packet) and shift < 56:
                byte = packet[place]
                size |= (byte & 127) << shift
                place, shift = place + 1, shift + 7
                if byte < 128:
                    break
        if content := packet[place : place + size]:
            yield header >> 3 & 15, content
        place += size
