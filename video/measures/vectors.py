"""Motion vectors, as codecs store them: H.264 and MPEG-4 have FFmpeg's decoders hand them out with the frames."""

from typing import Any, cast

import numpy as np
from av.codec.context import Flags2
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

CODECS = ("h264", "mpeg4")
"""FFmpeg's names of the decoders whose vectors are read."""


def export_vectors(stream: VideoStream) -> None:
    """Have the decoder attach vectors to its frames, if it can; before the first packet."""
    if stream.codec_context.codec.name in CODECS:
        stream.codec_context.flags2 |= Flags2.export_mvs


def exports_vectors(stream: VideoStream) -> bool:
    """Whether it does."""
    return bool(stream.codec_context.flags2 & Flags2.export_mvs)


def vector_length(frame: VideoFrame) -> float | None:
    """The mean over the pixels that have a vector of its length, in pixels; None for a frame without vectors.

    A vector leads to the picture that the block was predicted from, which may be more than one frame away.
    """
    vectors = frame.side_data.get("MOTION_VECTORS")
    if vectors is None:
        return None
    blocks = cast(Any, vectors).to_ndarray()
    areas = blocks["w"].astype(np.float64) * blocks["h"]
    if not areas.sum():
        return None
    lengths = np.hypot(blocks["motion_x"], blocks["motion_y"]) / np.maximum(blocks["motion_scale"], 1)
    return float((areas * lengths).sum() / areas.sum())
