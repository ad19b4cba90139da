"""What can go wrong between a caller and an answer.

ClientError
├── UnreadableFile       the file cannot be read on this machine
├── InvalidRequest       the server says what is wrong with the video or with a parameter
├── ServerUnavailable    no server there, or its queue or its memory is full: worth another try
│   └── ServerAway       it, or a part of it, is starting; a client that has had a word from it waits for it
├── DeadlineExceeded     no answer in the time allowed
└── ServerError          the server failed on this request

Each message is one sentence; the server's own where it has said one.
"""

import re

from tritonclient.utils import InferenceServerException

# What Triton says while the supervisor loads a model again, and before that of a request that the dead process held.
_STARTING = ("has no available versions", "is not healthy", "is not ready")
# What Triton says where no proxy stands before it and tells it better.
_NO_ROOM = "Failed to increase the shared memory pool"
# What gRPC says of a connection that ended under a request, not of one that was never made.
_ENDED = re.compile("socket closed|reset by peer|broken pipe|goaway", re.IGNORECASE)
_PREFIXES = re.compile(r"^(\[request id: [^\]]*\] |in ensemble '[^']*', )+")


class ClientError(Exception):
    """A video was not scored; the message says why."""


class UnreadableFile(ClientError):
    """The file cannot be read on this machine."""


class InvalidRequest(ClientError):
    """The server says what is wrong with the video or with a parameter. Asking again changes nothing."""


class ServerUnavailable(ClientError):
    """No server there, or its queue or its shared memory is full."""


class ServerAway(ServerUnavailable):
    """No server there, or one that is starting a part of itself again."""

    def __init__(self, message: str, *, held_request: bool = False, says_so: bool = False) -> None:
        super().__init__(message)
        self.held_request = held_request
        """Whether it went away while it had the request."""
        self.says_so = says_so
        """Whether there is a server, which says that a part of it is not."""


class DeadlineExceeded(ClientError):
    """No answer in the time allowed."""


class ServerError(ClientError):
    """The server failed on this request: a decoder that crashed or took too long, a model that is not loaded."""


def from_triton(error: InferenceServerException, url: str) -> ClientError:
    """The exception for what tritonclient raised while talking to `url`."""
    status = (error.status() or "").removeprefix("StatusCode.")
    message = _PREFIXES.sub("", error.message() or "").strip()
    if status in ("INVALID_ARGUMENT", ""):  # none: tritonclient refused to send it
        return InvalidRequest(message)
    if status == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(f"no answer from {url} in the time allowed")
    if status == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        return InvalidRequest("the file is larger than what the server receives")
    if status == "RESOURCE_EXHAUSTED":
        return ServerUnavailable(f"the queue is full: {message}")
    if status == "UNAVAILABLE":
        if "queue" in message or "shared memory" in message:
            return ServerUnavailable(message)
        # gRPC's own words for a connection that is refused, reset or closed, of which the last ones say most.
        reason = message.splitlines()[0].rpartition(": ")[2] if message else "no reason given"
        held = _ENDED.search(message) is not None
        return ServerAway(f"no server answers at {url} ({reason}); is it running?", held_request=held)
    if _NO_ROOM in message:
        return ServerUnavailable(f"the shared memory of the server at {url} has no room for this video")
    if any(sign in message for sign in _STARTING):
        return ServerAway(f"the server at {url} is starting a part of itself again ({message})", says_so=True)
    return ServerError(message or f"the server at {url} failed ({status or 'no status'})")
