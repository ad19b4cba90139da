"""What can be wrong with a request for a video.

VideoError
├── InvalidVideo         the file cannot be scored: not a video, truncated, no frames
├── InvalidParameter     a request parameter is unknown or out of range
└── DecoderFailed        the process that reads videos died or took too long

Each message is one sentence that a caller can act on.
"""


class VideoError(Exception):
    """A video was not read; the message says why."""


class InvalidVideo(VideoError):
    """The file is at fault."""


class InvalidParameter(VideoError):
    """The request is at fault."""


class DecoderFailed(VideoError):
    """The process that reads videos died or took too long on this one."""
