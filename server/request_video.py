"""The video in a request, which the proxy puts into a file so that Triton need not copy it (`video.shared_videos`)."""

from typing import NamedTuple

from server.wire import DELIMITED, Field, delimited, fields, varint

INPUTS, RAW_INPUT_CONTENTS = 5, 7
"""The numbers of fields in the message ModelInferRequest."""
NAME, DATATYPE, SHAPE = 1, 2, 3
"""The numbers of fields in its message InferInputTensor."""
STAND_IN = delimited(
    INPUTS, delimited(NAME, b"VIDEO") + delimited(DATATYPE, b"UINT8") + delimited(SHAPE, b"\x01\x01")
) + delimited(RAW_INPUT_CONTENTS, b"\0")
"""An input VIDEO of one byte, which is not read."""


class RequestVideo(NamedTuple):
    """The video of a request, and what is left of the request without it."""

    start: int
    """Where the video begins in the request."""
    end: int
    """Where it ends."""
    rest: bytes
    """The request with `STAND_IN` in its place."""


def find_video(request: bytes) -> RequestVideo | None:
    """The video of a serialized ModelInferRequest, if it is there as clients write it.

    None for any other request: one that has no video, or an empty one, or another input too, or a region of shared
    memory. Triton gets it as it is, and says what is wrong with it.
    """
    inputs: list[Field] = []
    contents: list[Field] = []
    kept, kept_from = [], 0
    try:
        for field in fields(request):
            if field.number not in (INPUTS, RAW_INPUT_CONTENTS):
                continue
            if field.wire_type != DELIMITED:
                return None
            (inputs if field.number == INPUTS else contents).append(field)
            kept.append(request[kept_from : field.tag])
            kept_from = field.end
        if len(inputs) != 1 or len(contents) != 1:
            return None
        (tensor,), (content,) = inputs, contents
        count = content.end - content.start
        if not count or not _is_video(request[tensor.start : tensor.end], count):
            return None
    except ValueError:
        return None
    return RequestVideo(content.start, content.end, b"".join([*kept, request[kept_from:], STAND_IN]))


def _is_video(tensor: bytes, count: int) -> bool:
    """Whether an InferInputTensor is VIDEO, UINT8 [1, `count`], and nothing else; ValueError as `fields`."""
    found: dict[int, bytes] = {}
    for field in fields(tensor):
        if field.number not in (NAME, DATATYPE, SHAPE) or field.number in found or field.wire_type != DELIMITED:
            return False
        found[field.number] = tensor[field.start : field.end]
    if found.get(NAME) != b"VIDEO" or found.get(DATATYPE) != b"UINT8":
        return False
    shape = found.get(SHAPE, b"")
    if not shape.startswith(b"\x01"):
        return False
    size, end = varint(shape, 1)
    return size == count and end == len(shape)
