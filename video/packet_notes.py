"""What each packet says that decides whether a decoder can do without it. Only headers are read.

What is not certain is noted as such: `DOUBT` if a packet is not the usual one picture of a frame, and never
`UNREFERENCED` where a header cannot be read to its place.
"""

from array import array
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from video.av1_headers import Av1Sequence, frame_of_av1
from video.bits import START_CODE, UINT32, BitReader, Packet, nal_units, without_emulation_prevention
from video.packets import (
    AV1_CONFIGURATION_BYTES,
    AV1_FRAME,
    AV1_FRAME_HEADER,
    AV1_SEQUENCE_HEADER,
    H264_IDR,
    H264_SLICES,
    HEVC_RANDOM_ACCESS,
    HEVC_SLICES,
    MPEG2_PICTURE,
    MPEG4_PICTURE,
    av1_units,
    nal_length_bytes,
    vp9_frames,
)

UNREFERENCED = 1
"""No frame refers to this one; in HEVC, none of the same or a lower temporal layer."""
SPLICE = 2
"""If decoding can begin here, it can also go on here after any other packet."""
RASL, RADL = 4, 8
"""HEVC's leading pictures: a frame that is displayed before its keyframe, and refers to earlier groups or does not."""
CRA = 16
"""HEVC's random access picture that `RASL` frames may follow."""
SETS = 32
"""It has parameters for the decoder that the container does not have."""
RESETS = 64
"""Its frame depends on nothing but its references; in VP9 others continue the state that the frame before left."""
REPEATS = 128
"""It shows a frame that was decoded before."""
HIDDEN = 256
"""It has no frame that is shown."""
DOUBT = 512
LAYER_PLACE = 16
"""The temporal layer is noted from this bit on."""

Note = Callable[[Packet], int]
MAX_HEADER_BYTES = 64
"""Of a frame that are read bit by bit."""
MAX_SET_BYTES = 1024
"""Of a sequence parameter set that is read."""
H264_SETS, HEVC_SETS = (7, 8, 13, 15), (32, 33, 34)
H264_SPS = 7
H264_UNUSUAL = (2, 3, 4, 14, 20, 21)
"""Data partitions, and slices of further layers and views."""
HEVC_SPS, HEVC_CRA = 33, 21
HEVC_RADL, HEVC_RASL = (6, 7), (8, 9)
HEVC_UNUSUAL = (*range(10, 17), *range(22, 32))
"""Reserved kinds, and broken links that may have leading pictures that do not decode."""
H264_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
MPEG2_SEQUENCE = START_CODE + b"\xb3"
VP9_SHOWN_INTER_MASK, VP9_SHOWN_INTER = 0b11001110, 0b10000110
"""Of the first byte of a VP9 frame: the marker, no `show_existing_frame`, an inter frame, and that it is shown."""
MPEG4_LAYERS = range(0x20, 0x30)
LEAST_MPEG4_PICTURE = 8
"""A picture of MPEG-4 with fewer bytes may be one that is not coded: the decoder leaves it out."""


class Notes:
    """The notes of the packets of a stream, taken one after the other."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        """`codec` is FFmpeg's name of a decoder."""
        try:
            self._note = _note_of(codec, extradata or b"")
        except (EOFError, IndexError):  # the extradata is too short
            self._note = lambda _: DOUBT
        self._notes = array("i")

    def take(self, packet: Packet, *, is_shown: bool) -> None:
        """Note the next packet; `is_shown` is the answer of `shown_test`."""
        try:
            self._notes.append(self._note(packet) | (0 if is_shown else HIDDEN))
        except (EOFError, IndexError):
            self._notes.append(DOUBT)

    @property
    def all(self) -> NDArray[np.int32]:
        """(packets,) the notes so far."""
        return np.array(self._notes, np.int32)


def _note_of(codec: str, extradata: bytes) -> Note:
    if codec == "h264":
        return _H264(extradata)
    if codec == "hevc":
        return _Hevc(extradata)
    if codec in ("av1", "libdav1d"):
        return _Av1(extradata)
    if codec in ("mpeg1video", "mpeg2video"):
        return _Mpeg2(extradata)
    if codec == "mpeg4":
        return _Mpeg4(extradata)
    if codec == "vp9":
        return _vp9
    always = {"vp8": SPLICE, "mjpeg": SPLICE | UNREFERENCED}.get(codec, DOUBT)
    return lambda _: always


def _is_one_unit(packet: Packet, length_bytes: int) -> bool:
    """Whether a packet is a single NAL unit of at least three bytes, with its length in four bytes before it."""
    return length_bytes == 4 and len(packet) > 6 and UINT32(packet)[0] == len(packet) - 4


class _H264:
    """ITU-T H.264, 7.3 and 7.4.1: `nal_ref_idc` is 0 if no picture refers to this one."""

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = nal_length_bytes("h264", extradata)
        self._sets = _parameter_sets(extradata, self._length_bytes, avc=True)
        is_usual = self._length_bytes in (0, 4) and all(
            _has_frames_only(unit) for unit in self._sets if unit[0] & 31 == H264_SPS
        )
        self._always = 0 if is_usual else DOUBT
        self._of_one_unit: dict[int, int] = {}
        """The notes of packets that are one NAL unit, by its first two bytes, of which alone they depend."""

    def __call__(self, packet: Packet) -> int:
        if not _is_one_unit(packet, self._length_bytes):
            return self._note(packet)
        first = packet[4] << 8 | packet[5]
        note = self._of_one_unit.get(first)
        if note is None:
            note = self._of_one_unit[first] = self._note(packet)
        return note

    def _note(self, packet: Packet) -> int:
        note, slices, pictures, referenced = self._always, 0, 0, 0
        for _, unit in nal_units(packet, self._length_bytes):
            first = unit[0]
            kind = first & 31
            if kind in H264_UNUSUAL:
                return DOUBT
            if kind in H264_SLICES:
                slices += 1
                referenced += first & 0x60 != 0
                pictures += unit[1] >> 7  # `first_mb_in_slice` is 0
                if kind == H264_IDR:
                    note |= SPLICE
            elif kind in H264_SETS and bytes(unit).rstrip(b"\0") not in self._sets:
                note |= SETS
                if kind == H264_SPS and not _has_frames_only(unit):
                    return DOUBT
        if pictures != 1 or 0 < referenced < slices:
            return DOUBT
        return note if referenced else note | UNREFERENCED


def _has_frames_only(sps: Packet) -> bool:
    """`frame_mbs_only_flag` of a sequence parameter set of H.264 (7.3.2.1.1); False where it cannot be read."""
    try:
        bits = BitReader(without_emulation_prevention(sps[1:MAX_SET_BYTES]))
        profile = bits.read(8)
        bits.skip(16)
        bits.exp_golomb()
        if profile in H264_HIGH_PROFILES:
            chroma = bits.exp_golomb()
            if chroma == 3:
                bits.skip(1)
            bits.exp_golomb()
            bits.exp_golomb()
            bits.skip(1)
            if bits.read(1):
                for place in range(12 if chroma == 3 else 8):
                    if bits.read(1):
                        _skip_scaling_list(bits, 16 if place < 6 else 64)
        bits.exp_golomb()
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.skip(1)
            for _ in range(2):
                bits.exp_golomb()
            for _ in range(min(bits.exp_golomb(), 255)):
                bits.exp_golomb()
        bits.exp_golomb()
        bits.skip(1)
        bits.exp_golomb()
        bits.exp_golomb()
        return bool(bits.read(1))
    except EOFError:
        return False


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            number = bits.exp_golomb()
            following = (last + (number + 1 >> 1) * (1 if number & 1 else -1)) % 256
        last = following or last


class _Hevc:
    """ITU-T H.265, 7.3 and 7.4.2: kinds of NAL units say what refers to their pictures."""

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = nal_length_bytes("hevc", extradata)
        self._sets = _parameter_sets(extradata, self._length_bytes, avc=False)
        self._always = 0 if self._length_bytes in (0, 4) else DOUBT
        self._of_one_unit: dict[int, int] = {}
        """The notes of packets that are one NAL unit, by the first 18 bits, of which alone they depend."""

    def __call__(self, packet: Packet) -> int:
        if not _is_one_unit(packet, self._length_bytes):
            return self._note(packet)
        first = packet[4] << 10 | packet[5] << 2 | packet[6] >> 6
        note = self._of_one_unit.get(first)
        if note is None:
            note = self._of_one_unit[first] = self._note(packet)
        return note

    def _note(self, packet: Packet) -> int:
        note, pictures, kinds = self._always, 0, set()
        for _, unit in nal_units(packet, self._length_bytes):
            kind = unit[0] >> 1 & 63
            if kind in HEVC_SLICES:
                if unit[0] & 1 or unit[1] >> 3:  # another layer, such as another view
                    return DOUBT
                kinds.add(kind)
                pictures += unit[2] >> 7  # `first_slice_segment_in_pic_flag`
                note |= (unit[1] & 7) - 1 << LAYER_PLACE
                if kind in HEVC_RANDOM_ACCESS and unit[2] & 0x40:  # `no_output_of_prior_pics_flag`
                    return DOUBT
            elif kind in HEVC_SETS and bytes(unit).rstrip(b"\0") not in self._sets:
                note |= SETS
        if pictures != 1 or len(kinds) != 1:
            return DOUBT
        kind = kinds.pop()
        if kind in HEVC_UNUSUAL:
            return DOUBT
        note |= RADL * (kind in HEVC_RADL) | RASL * (kind in HEVC_RASL) | CRA * (kind == HEVC_CRA)
        if kind in HEVC_RANDOM_ACCESS:
            return note | SPLICE
        return note if kind % 2 else note | UNREFERENCED


def _parameter_sets(extradata: bytes, length_bytes: int, *, avc: bool) -> set[bytes]:
    """The NAL units with parameters in the extradata of H.264 (`avc`) or HEVC."""
    if not length_bytes:
        units = {bytes(unit).rstrip(b"\0") for _, unit in nal_units(extradata, 0)}
        return {unit for unit in units if (unit[0] & 31 in H264_SETS if avc else unit[0] >> 1 & 63 in HEVC_SETS)}
    found = set()

    def take(place: int, count: int) -> int:
        for _ in range(count):
            end = place + 2 + int.from_bytes(extradata[place : place + 2], "big")
            if end > len(extradata):
                break
            found.add(extradata[place + 2 : end].rstrip(b"\0"))
            place = end
        return place

    if avc:  # ISO 14496-15, 5.3.3.1
        place = take(6, extradata[5] & 31)
        if place < len(extradata):
            take(place + 1, extradata[place])
    else:  # ISO 14496-15, 8.3.3.1
        place = 23
        for _ in range(extradata[22] if len(extradata) > place else 0):
            place = take(place + 3, int.from_bytes(extradata[place + 1 : place + 3], "big"))
    return {unit for unit in found if unit}


def _vp9(packet: Packet) -> int:
    """VP9 bitstream specification, 7.2: `refresh_frame_flags` is 0 if no frame refers to this one.

    A frame may continue the probabilities, segments and motion vectors of the frame before, which need not be one of
    its references, unless `error_resilient_mode` is set or it is a keyframe.
    """
    first = packet[0]
    if first & VP9_SHOWN_INTER_MASK == VP9_SHOWN_INTER and first & 0x30 != 0x30 and packet[-1] >> 5 != 6:
        # One frame that is shown and no keyframe, not of profile 3: its flags have the same place in all of them.
        if first & 1:
            return SPLICE | RESETS | (0 if packet[1] else UNREFERENCED)
        return SPLICE | (0 if packet[1] & 0x3F or packet[2] >> 6 else UNREFERENCED)
    note, is_referenced = SPLICE, False
    for number, frame in enumerate(vp9_frames(packet)):
        bits = BitReader(frame[:MAX_HEADER_BYTES])
        if bits.read(2) != 2:
            return DOUBT
        profile = bits.read(1) | bits.read(1) << 1
        if profile == 3:
            bits.skip(1)
        if bits.read(1):  # `show_existing_frame`
            note |= REPEATS
            is_referenced = True
            continue
        is_inter, is_shown, is_resilient = bits.read(1), bits.read(1), bits.read(1)
        if number == 0 and (is_resilient or not is_inter):
            note |= RESETS
        is_referenced |= not is_inter or _vp9_refreshes(bits, profile, is_shown, is_resilient)
    return note if is_referenced else note | UNREFERENCED


def _vp9_refreshes(bits: BitReader, profile: int, is_shown: int, is_resilient: int) -> bool:
    is_intra = 0 if is_shown else bits.read(1)
    if not is_resilient:
        bits.skip(2)
    if is_intra:
        bits.skip(24)
        if profile > 0:
            if profile >= 2:
                bits.skip(1)
            is_rgb = bits.read(3) == 7
            if not is_rgb:
                bits.skip(1)
            if profile in (1, 3):
                bits.skip(1 if is_rgb else 3)
    return bits.read(8) != 0


class _Av1:
    """AV1 bitstream specification, 5.9.2: `refresh_frame_flags` is 0 if no frame refers to this one."""

    def __init__(self, extradata: bytes) -> None:
        units = av1_units(extradata[AV1_CONFIGURATION_BYTES:])
        self._stated = [bytes(content) for kind, content in units if kind == AV1_SEQUENCE_HEADER]
        self._sequence = Av1Sequence.of(self._stated[0]) if self._stated else None
        self._hides_keyframes = False
        """A keyframe that was hidden refreshes all references when it is shown."""

    def __call__(self, packet: Packet) -> int:
        note, shown, is_referenced = SPLICE | RESETS, 0, False
        for kind, content in av1_units(packet):
            if kind == AV1_SEQUENCE_HEADER:
                note |= SETS * (bytes(content) not in self._stated)
                self._sequence = Av1Sequence.of(content)
            elif kind in (AV1_FRAME_HEADER, AV1_FRAME):
                if self._sequence is None:
                    return DOUBT
                header = frame_of_av1(content[:MAX_HEADER_BYTES], self._sequence)
                shown += header.is_shown
                self._hides_keyframes |= header.is_hidden_keyframe
                is_referenced |= self._hides_keyframes if header.repeats else header.refreshes
                note |= REPEATS * header.repeats
        if shown > 1:
            return DOUBT
        return note if is_referenced else note | UNREFERENCED


class _Mpeg2:
    """ISO 13818-2, 6.2.3: no picture refers to a B picture."""

    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata

    def __call__(self, packet: Packet) -> int:
        content = bytes(packet)
        place = content.find(MPEG2_PICTURE)
        if place < 0 or content.find(MPEG2_PICTURE, place + 4) >= 0:
            return DOUBT  # none, or two fields
        note, kind = SPLICE, content[place + 5] >> 3 & 7
        header = content.find(MPEG2_SEQUENCE)
        if 0 <= header < place:
            ends = (end for code in (START_CODE + b"\xb8", MPEG2_PICTURE) if (end := content.find(code, header)) >= 0)
            if content[header : min(ends)] not in self._extradata:
                note |= SETS
        if kind not in (1, 2, 3):
            return DOUBT
        return note | UNREFERENCED if kind == 3 else note


class _Mpeg4:
    """ISO 14496-2, 6.2.3 and 6.3.5: no picture refers to a B-VOP.

    FFmpeg takes the distance of interlaced frames from the first B-VOP that it sees, so none may be left out.
    """

    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata
        self._is_progressive = False
        for place in _layers_of_mpeg4(extradata):
            self._is_progressive = _is_progressive(extradata[place + 4 :])

    def __call__(self, packet: Packet) -> int:
        content = bytes(packet)
        place = content.find(MPEG4_PICTURE)
        if place < 0 or content.find(MPEG4_PICTURE, place + 4) >= 0 or len(content) - place < LEAST_MPEG4_PICTURE:
            return DOUBT  # none, or a B-VOP packed with another one
        note = SPLICE
        for layer in _layers_of_mpeg4(content[:place]):
            if content[layer : content.find(START_CODE, layer + 3)] not in self._extradata:
                note |= SETS
                self._is_progressive = _is_progressive(content[layer + 4 :])
        if not self._is_progressive:
            return DOUBT
        return note | UNREFERENCED if content[place + 4] >> 6 == 2 else note


def _layers_of_mpeg4(content: bytes) -> Iterator[int]:
    """Where the headers of video object layers begin."""
    place = content.find(START_CODE)
    while 0 <= place < len(content) - 3:
        if content[place + 3] in MPEG4_LAYERS:
            yield place
        place = content.find(START_CODE, place + 3)


def _is_progressive(layer: bytes) -> bool:
    """Whether the header of a video object layer says that frames are rectangular and not interlaced (6.2.3)."""
    try:
        bits = BitReader(layer[:MAX_HEADER_BYTES])
        bits.skip(9)
        if bits.read(1):
            bits.skip(7)
        if bits.read(4) == 15:
            bits.skip(16)
        if bits.read(1):
            bits.skip(3)
            if bits.read(1):
                bits.skip(79)
        if bits.read(2):
            return False
        bits.skip(1)
        resolution = bits.read(16)
        bits.skip(1)
        if bits.read(1):
            bits.skip(max(1, (resolution - 1).bit_length()))
        bits.skip(29)
        return not bits.read(1)
    except EOFError:
        return False
