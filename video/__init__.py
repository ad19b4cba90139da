"""Reading videos: which frames make up which clip, and those frames as clips.

`container` reads a file's table of frames, `sampling` chooses frames from it, and `decoding` turns the chosen frames
into clips. `isolation` runs all three in a process of its own, so that a bad file costs no more than that process.
"""

from video.errors import DecoderFailed, InvalidParameter, InvalidVideo, VideoError
from video.isolation import IsolatedDecoder
from video.limits import Limits
from video.parameters import Parameters
from video.sampling import Sampling, StreamInfo, sample

__all__ = [
    "DecoderFailed",
    "InvalidParameter",
    "InvalidVideo",
    "IsolatedDecoder",
    "Limits",
    "Parameters",
    "Sampling",
    "StreamInfo",
    "VideoError",
    "sample",
]
