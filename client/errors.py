"""What can go wrong between a caller and an answer.

ClientError
├── UnreadableFile       the file cannot be read on this machine
├── InvalidRequest       the server says what is wrong with the video or with a parameter
├── ServerUnavailable    no server there, or its queue is full: worth another try
├── DeadlineExceeded     no answer in the time allowed
└── ServerError          the server failed on this request

Each message is one sentence; the server's own where it has said one.
"""

import re

from tritonclient.utils import InferenceServerException

_PREFIXES = re.compile(r"^(\[request id: [^\]]*\] |in ensemble '[^']*', )+")


class ClientError(Exception):
    """A video was not scored; the message says why."""


class UnreadableFile(ClientError):
    """The file cannot be read on this machine."""


class InvalidRequest(ClientError):
    """The server says what is wrong with the video or with a parameter. Asking again changes nothing."""


class ServerUnavailable(ClientError):
    """No server there, or its queue is full."""


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
    if status == "UNAVAILABLE":
        if "connect" in message or "resolution" in message or "Socket closed" in message:
            reason = message.splitlines()[0].rpartition(": ")[2]
            return ServerUnavailable(f"no server answers at {url} ({reason}); is it running?")
        return ServerUnavailable(message)
    return ServerError(message or f"the server at {url} failed ({status or 'no status'})")
