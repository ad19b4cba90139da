"""The exceptions of the client.

    ClientError
    ├── UnreadableFile       the file cannot be read on this machine, or from its store
    ├── InvalidRequest       the video or a parameter is invalid; a retry fails again
    ├── ServerUnavailable    no server answers, or its queue or memory is full; a retry may succeed
    │   └── ServerAway       the server, or a part of it, is down or starting
    ├── DeadlineExceeded     no answer in the time allowed
    └── ServerError          the server failed on this request

Each message is one sentence; if the server gave one, it is the server's own.

`ClientError.reason` says why in one word, for programs that count failures. Most words are the server's own:

- about the video: `empty`, `not_a_video`, `no_video_stream`, `no_frames`, `unsupported_codec`, `truncated`, `damaged`,
  `too_large`, `invalid_video`
- about a parameter: `invalid_parameter`
- about the server: `timed_out` (decoding took too long), `worker_died`, `decoder_failed`, `no_room` (no memory for the
  video now), `busy` (more decoding than its share while other callers are served), `unexpected`
- about the caller: `abandoned` (it has gone, so only the server's logs and metrics show this word)

The client adds these:

- `unreadable_file`: the file cannot be read on this machine
- `unreachable`: no server answers
- `restarting`: the server is restarting a part of itself
- `queue_full`: the server's queue is full
- `timeout`: no answer within `timeout_seconds`
- `server_died`: several servers went down while they held this video
- `not_found`, `forbidden`, `throttled`, `store_failed`: what an object store or a web server says of a URL
- `store_away`: nothing could be had from the store for two minutes

The client also sets `empty`, `too_large` and `no_room` itself, before it sends a video or if the server's error has no
reason. `reason` is None for failures outside these lists, such as errors of Triton itself or of an older server.
"""

__all__ = [
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "ServerAway",
    "ServerError",
    "ServerUnavailable",
    "UnreadableFile",
]


class ClientError(Exception):
    """A video was not scored; the message is one sentence that says why."""

    reason: str | None = None
    """The same in one word, such as `truncated`; the words are listed in the docstring of this module."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class UnreadableFile(ClientError):
    """The file cannot be read on this machine, or from its store."""

    reason = "unreadable_file"


class InvalidRequest(ClientError):
    """The video or a parameter is invalid; the message says how. A retry fails again."""


class ServerUnavailable(ClientError):
    """No server answers, or its queue or its shared memory is full. A retry may succeed."""


class ServerAway(ServerUnavailable):
    """The server, or a part of it, is down or starting."""

    reason = "unreachable"

    def __init__(
        self,
        message: str,
        *,
        held_request: bool = False,
        partial_outage: bool = False,
        too_many_pings: bool = False,
    ) -> None:
        super().__init__(message, reason="restarting" if partial_outage else None)
        self.held_request = held_request
        """Whether the connection broke while the server had the request."""
        self.partial_outage = partial_outage
        """Whether the server answered that a part of it is down."""
        self.too_many_pings = too_many_pings
        """Whether the server closed the connection because the client asked too often whether it is there."""


class DeadlineExceeded(ClientError):
    """No answer in the time allowed."""

    reason = "timeout"


class ServerError(ClientError):
    """The server failed on this request: a decoder crashed or took too long, or a model is not loaded."""
