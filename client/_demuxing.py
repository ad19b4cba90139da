"""Reading the packets of streams."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet


def demux(container: "InputContainer", streams: Any) -> "Iterator[Packet]":
    """The packets of one or several streams to the end of the file, and empty ones for the decoders' last frames.

    If a file has streams that appear while it is read, PyAV may look for one that it does not know after all of that.
    """
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet
