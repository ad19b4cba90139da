"""A shard or a video as a stream of bytes: the one place that knows where such files can be."""

from typing import BinaryIO


def open_stream(name: str) -> BinaryIO:
    """The file, to be read from its start. Readers seek forward if the stream is `seekable`, else they read on.

    Raises OSError, and ValueError for a name that no file can have.
    """
    return open(name, "rb")
