"""Why a request for a video fails.

VideoError
├── InvalidVideo         the file cannot be scored: not a video, truncated, no frames
├── InvalidParameter     a request parameter is unknown or out of range
├── DecoderFailed        the decoder process died or took too long
├── NoRoom               the server has no shared memory left for it at the moment
├── Busy                 decoding took more than its share of the CPU while other callers were served
└── Abandoned            the caller has gone

Each message is one sentence that a caller can act on; the reason is a machine-readable word for the same.
"""

from enum import StrEnum


class RequestOutcome(StrEnum):
    """The outcome of a request in a model that reads videos."""

    OK = "ok"
    """The model answered; the networks may still fail afterwards."""
    REFUSED = "refused"
    """The file or a parameter is at fault."""
    FAILED = "failed"
    """The server is at fault, or the file made a decoder fail."""
    ABANDONED = "abandoned"
    """The caller has gone, and nobody reads the answer."""


class Reason(StrEnum):
    """Why a request failed: a small fixed set, because it labels a metric."""

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
    BUSY = "busy"
    ABANDONED = "abandoned"
    UNEXPECTED = "unexpected"

    @property
    def outcome(self) -> RequestOutcome:
        """The outcome of a request that fails for this reason."""
        if self is Reason.ABANDONED:
            return RequestOutcome.ABANDONED
        return RequestOutcome.FAILED if self in _FAILURES else RequestOutcome.REFUSED


_FAILURES = (
    Reason.TIMED_OUT,
    Reason.WORKER_DIED,
    Reason.DECODER_FAILED,
    Reason.NO_ROOM,
    Reason.BUSY,
    Reason.UNEXPECTED,
)


class VideoError(Exception):
    """A video could not be read; the message says why."""

    reason = Reason.UNEXPECTED
    """The same, machine-readable."""

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
    """The decoder process died or took too long on this video."""

    reason = Reason.DECODER_FAILED


class NoRoom(VideoError):
    """The server has no shared memory left for the video at the moment; worth a retry."""

    reason = Reason.NO_ROOM


class Busy(VideoError):
    """Decoding took more CPU time than the video's share while other callers were served; worth a retry."""

    reason = Reason.BUSY


class Abandoned(VideoError):
    """The caller has gone, so the video is not read to its end."""

    reason = Reason.ABANDONED
