"""What can be wrong with a request for a video.

VideoError
├── InvalidVideo         the file cannot be scored: not a video, truncated, no frames
├── InvalidParameter     a request parameter is unknown or out of range
├── DecoderFailed        the process that reads videos died or took too long
└── NoRoom               the server has no memory for it now

Each message is one sentence that a caller can act on; the reason says the same in a word, for machines that count.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a request."""

    OK = "ok"
    """It was answered; whether the networks then scored the video is for them to say."""
    REFUSED = "refused"
    """The file or a parameter is at fault."""
    FAILED = "failed"
    """The server is at fault, or the file did something to it that is worth a look."""


class Reason(StrEnum):
    """Why a request was not answered: a small fixed set, for it labels a metric."""

    EMPTY = "empty"
    NOT_A_VIDEO = "not_a_video"
    NO_VIDEO_STREAM = "no_video_stream"
    NO_FRAMES = "no_frames"
    UNSUPPORTED_CODEC = "unsupported_codec"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    INVALID_VIDEO = "invalid_video"
    INVALID_PARAMETER = "invalid_parameter"
    TIMED_OUT = "timed_out"
    WORKER_DIED = "worker_died"
    DECODER_FAILED = "decoder_failed"
    NO_ROOM = "no_room"
    UNEXPECTED = "unexpected"

    @property
    def outcome(self) -> Outcome:
        """What becomes of a request that has this reason."""
        return Outcome.FAILED if self in _FAILURES else Outcome.REFUSED


_FAILURES = (Reason.TIMED_OUT, Reason.WORKER_DIED, Reason.DECODER_FAILED, Reason.NO_ROOM, Reason.UNEXPECTED)


class VideoError(Exception):
    """A video was not read; the message says why."""

    reason = Reason.UNEXPECTED
    """The same in a word."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class InvalidVideo(VideoError):
    """The file is at fault."""

    reason = Reason.INVALID_VIDEO


class InvalidParameter(VideoError):
    """The request is at fault."""

    reason = Reason.INVALID_PARAMETER


class DecoderFailed(VideoError):
    """The process that reads videos died or took too long on this one."""

    reason = Reason.DECODER_FAILED


class NoRoom(VideoError):
    """The server has no memory for the video now; another time it may."""

    reason = Reason.NO_ROOM
