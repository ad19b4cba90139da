"""Freeing decoded frames soon: PyAV's frames refer to themselves once their side data was read.

Python's garbage collector frees such objects after some hundreds of them, whatever they hold: 700 frames of 1080p are
2 GB.
"""

import gc

from av.video.frame import VideoFrame

MAX_BYTES = 32 << 20
"""Of frames that wait for being freed. A collection takes less time than decoding them by far."""


class FrameGarbage:
    """Counts the frames that were used."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, frame: VideoFrame) -> None:
        """A frame whose side data was read is not needed any more after this; frees it and others if they are large."""
        self._bytes += sum(plane.buffer_size for plane in frame.planes)
        if self._bytes > MAX_BYTES:
            self._bytes = 0
            gc.collect()
