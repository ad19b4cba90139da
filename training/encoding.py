"""Encoding frames as a video file."""

from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO
from typing import cast

import av
import numpy as np
from av import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def encode(
    frames: Iterable[Picture], frames_per_second: Fraction | int, *, quality: int = 23, codec: str = "libx264"
) -> bytes:
    """An mp4 file of one or more `frames`, (height, width, 3) uint8 RGB with even sides.

    `quality` is the constant rate factor: a higher one is worse.
    """
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = cast(VideoStream, output.add_stream(codec, rate=frames_per_second))
        stream.options = {"crf": str(quality), "preset": "veryfast", "threads": "1"}
        stream.pix_fmt = "yuv420p"
        for index, picture in enumerate(frames):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(frames_per_second)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
