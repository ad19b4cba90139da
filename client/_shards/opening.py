"""A shard or a video as a stream of bytes: the one place that knows where such files can be."""

from typing import BinaryIO, cast

from .._remote.addresses import is_remote
from .._remote.reading import stream_remote


def open_stream(name: str) -> BinaryIO:
    """The file, to be read from its start. Readers seek forward if the stream is `seekable`, else they read on.

    Raises OSError, ValueError for a name that no file can have, and `UnreadableFile` for what a store refuses.
    """
    return cast(BinaryIO, stream_remote(name)) if is_remote(name) else open(name, "rb")
