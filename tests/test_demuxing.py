"""Packets of files whose streams appear while they are read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from client import _demuxing as of_client
from tests.fuzz import decode
from video import InvalidVideo, IsolatedDecoder, Limits
from video import demuxing as of_server

LATE_STREAM = Path(__file__).parent / "data" / "video" / "late_stream.m2ts"
"""A damaged file, made by a random mutation. PyAV looks for a second stream at its end."""


class Container:
    """Reads as PyAV does if a stream appeared."""

    def demux(self, stream: object) -> Iterator[object]:
        yield from (stream, stream)
        raise IndexError("list index out of range")


@pytest.mark.parametrize("demux", [of_client.demux, of_server.demux])
def test_a_stream_that_appeared_ends_the_file_after_its_last_packet(demux: Callable[[Any, Any], Any]) -> None:
    stream = object()
    assert [*demux(cast(Any, Container()), cast(Any, stream))] == [stream, stream]


def test_a_damaged_file_with_such_a_stream_is_refused_with_a_sentence() -> None:
    decoder = IsolatedDecoder(Limits(timeout_seconds=30))
    try:
        with pytest.raises(InvalidVideo, match=r"^the file is truncated"):
            decode(decoder, LATE_STREAM.read_bytes())
        with pytest.raises(InvalidVideo, match=r"^only 0 of the video's 25 frames can be decoded"):
            decode(decoder, LATE_STREAM.read_bytes(), allow_damaged=True)
    finally:
        decoder.close()
