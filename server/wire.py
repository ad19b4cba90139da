"""The fields of a serialized protobuf message, found without parsing or copying their content.

A request may have 2 GiB, and most of that is one field.
"""

from collections.abc import Iterator
from typing import NamedTuple

MAX_FIELDS = 4096
"""Outermost fields of a request: each tensor and each parameter is one, or two with its content."""
MAX_VARINT_BYTES = 5
"""Of a tag or a length; both are below 2^32."""
FIXED_BYTES = {1: 8, 5: 4}
"""Bytes of a field, by the wire types that have a fixed size."""
VARINT, DELIMITED = 0, 2
"""The other wire types that proto3 uses."""


class Field(NamedTuple):
    """A field of a message."""

    number: int
    wire_type: int
    tag: int
    """Where its tag begins."""
    start: int
    """Where its value begins."""
    end: int
    """Where the next field begins."""


def fields(message: bytes) -> Iterator[Field]:
    """The outermost fields; ValueError, when they are reached, for what protobuf does not write."""
    position = 0
    for _ in range(MAX_FIELDS):
        if position == len(message):
            return
        tag = position
        value, start = varint(message, position)
        number, wire_type = value >> 3, value & 7
        if number == 0:
            raise ValueError("it has a field with the number 0")
        if wire_type == VARINT:
            position = _after_value(message, start)
            yield Field(number, wire_type, tag, start, position)
            continue
        if wire_type == DELIMITED:
            length, start = varint(message, start)
        elif wire_type in FIXED_BYTES:
            length = FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"it has a field of the wire type {wire_type}")
        position = start + length
        if position > len(message):
            raise ValueError("it is truncated")
        yield Field(number, wire_type, tag, start, position)
    if position != len(message):
        raise ValueError(f"it has more than {MAX_FIELDS} fields")


def varint(message: bytes, position: int) -> tuple[int, int]:
    """The tag or length at `position`, and the position after it; ValueError beyond 32 bits."""
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= len(message):
            raise ValueError("it is truncated")
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= 1 << 32:
                break
            return value, position + index + 1
    raise ValueError("it has a tag or a length beyond 32 bits")


def delimited(number: int, content: bytes) -> bytes:
    """A field with fewer than 128 bytes."""
    assert len(content) < 0x80
    return bytes((number << 3 | DELIMITED, len(content))) + content


def _after_value(message: bytes, position: int) -> int:
    """The position after the value of a varint field, which has up to ten bytes."""
    for index in range(10):
        if position + index >= len(message):
            raise ValueError("it is truncated")
        if message[position + index] < 0x80:
            return position + index + 1
    raise ValueError("it has a number beyond 64 bits")
