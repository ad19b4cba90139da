"""Reading the packets of a stream."""

from collections.abc import Iterator

from av import Packet, VideoStream
from av.container import InputContainer


def demux(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The packets of `stream` to the end of the file, and an empty one for the decoder's last frames.

    If a file has streams that appear while it is read, PyAV may look for one that it does not know after all of that.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet
