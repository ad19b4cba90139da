"""Reading videos: which frames make up which clip, and those frames as clips.

`sampling` decides which frames are wanted, `container` knows what a file holds, `decoding` turns the wanted frames
into clips, and `isolation` runs the last two in a process of its own, where a bad file can only hurt itself.
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
