"""The beginning of AV1's headers, up to what says which frames are kept (AV1 specification, 5.5 and 5.9.2)."""

from typing import NamedTuple

from video.bits import BitReader, Packet

KEY, _INTER, INTRA_ONLY, SWITCH = range(4)
SELECT = 2
"""A sequence that leaves a choice to each frame."""
TIERED_LEVEL = 8


class Av1Sequence(NamedTuple):
    """What a frame header's layout depends on."""

    screen_content_tools: int
    integer_motion: int
    order_hint_bits: int

    @classmethod
    def of(cls, header: Packet) -> "Av1Sequence | None":
        """The fields of a sequence header; None where frames may be unusual: still pictures, layers, decoder models."""
        bits = BitReader(header)
        bits.skip(3)
        if bits.read(2):  # `still_picture`, `reduced_still_picture_header`
            return None
        if bits.read(1):  # timing
            bits.skip(64)
            if bits.read(1):
                bits.exp_golomb()
            if bits.read(1):  # a decoder model
                return None
        has_delay = bits.read(1)
        if bits.read(5):  # more than one operating point
            return None
        bits.skip(12)
        if bits.read(5) >= TIERED_LEVEL:
            bits.skip(1)
        if has_delay and bits.read(1):
            bits.skip(4)
        width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
        bits.skip(width_bits + height_bits)
        if bits.read(1):  # frames have numbers
            return None
        bits.skip(3 + 4)
        has_order = bits.read(1)
        if has_order:
            bits.skip(2)
        tools = SELECT if bits.read(1) else bits.read(1)
        integer = SELECT
        if tools and not bits.read(1):
            integer = bits.read(1)
        return cls(tools, integer, bits.read(3) + 1 if has_order else 0)


class Av1Frame(NamedTuple):
    """What a frame header says."""

    is_shown: bool
    repeats: bool
    """It shows a frame that was decoded before."""
    refreshes: bool
    """Later frames may refer to it."""
    is_hidden_keyframe: bool = False


def frame_of_av1(header: Packet, sequence: Av1Sequence) -> Av1Frame:
    """What the beginning of a frame header says. Raises EOFError if it is too short."""
    bits = BitReader(header)
    if bits.read(1):
        return Av1Frame(is_shown=True, repeats=True, refreshes=False)
    kind, is_shown = bits.read(2), bool(bits.read(1))
    if not is_shown:
        bits.skip(1)
    if kind == SWITCH or (kind == KEY and is_shown):
        return Av1Frame(is_shown, repeats=False, refreshes=True)
    is_resilient = bits.read(1)
    bits.skip(1)
    tools = bits.read(1) if sequence.screen_content_tools == SELECT else sequence.screen_content_tools
    if tools and sequence.integer_motion == SELECT:
        bits.skip(1)
    bits.skip(1 + sequence.order_hint_bits)
    if kind not in (KEY, INTRA_ONLY) and not is_resilient:
        bits.skip(3)
    return Av1Frame(is_shown, repeats=False, refreshes=bits.read(8) != 0, is_hidden_keyframe=kind == KEY)
