"""Which of several video streams is shown: the one that ffmpeg chooses."""

from collections.abc import Sequence

from av.stream import Disposition
from av.video.stream import VideoStream

DEFAULT_PIXELS = 5_000_000
"""What being the default stream counts, in pixels of its frames."""
PACKETS_PIXELS = 100_000_000
"""What having packets counts."""


def shown_stream(streams: Sequence[VideoStream]) -> VideoStream:
    """The stream of the highest rank; the first of several. `streams` are in the container's order, at least one.

    A stream's rank is the number of pixels of its frames. The default stream, which is an enabled track in mp4 and mov,
    counts `DEFAULT_PIXELS` more, and one that has packets, as far as the container tells, `PACKETS_PIXELS` more.
    """
    return max(streams, key=_rank)


def _rank(stream: VideoStream) -> int:
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    is_default = bool(stream.disposition & Disposition.default)
    return pixels + DEFAULT_PIXELS * is_default + PACKETS_PIXELS * (len(stream.index_entries) > 0)
