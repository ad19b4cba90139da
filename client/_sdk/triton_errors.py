"""Turns what tritonclient raises into the exceptions of `client.errors`."""

import re

from tritonclient.utils import InferenceServerException

from ..errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerAway,
    ServerError,
    ServerUnavailable,
)
from .proxies import Proxy

# Triton's messages while a model is loaded again, and for requests that a dead process held.
_RESTARTING = ("has no available versions", "is not healthy", "is not ready")
# Triton's message if shared memory is full; the proxy replaces it.
_NO_SHARED_MEMORY = "Failed to increase the shared memory pool"
# gRPC's messages for a connection that broke during a request, unlike one that was never made.
_BROKEN_CONNECTION = re.compile("socket closed|reset by peer|broken pipe|goaway", re.IGNORECASE)
# What a server sends before it closes a connection on which it got more pings than it accepts.
_TOO_MANY_PINGS = re.compile("too[_ ]many[_ ]pings", re.IGNORECASE)
# The server's models end an error with the reason in brackets.
_REASON = re.compile(r"\s\[([a-z][a-z0-9_]{0,39})\]\s*\Z")


def from_triton(
    error: InferenceServerException, url: str, request_id: str = "", proxy: Proxy | None = None
) -> ClientError:
    """The exception for what tritonclient raised in a request to `url`, through this proxy, that had this id."""
    status = _status(error)
    message, reason = _split(error.message() or "", request_id)
    if status in ("INVALID_ARGUMENT", ""):  # without a status: tritonclient refused to send it
        return InvalidRequest(message, reason=reason)
    if status == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(f"no answer from {url}{_through(proxy)} in the time allowed")
    if status == "RESOURCE_EXHAUSTED" and "larger than max" in message:
        return InvalidRequest("the file is larger than the server accepts", reason="too_large")
    if status == "RESOURCE_EXHAUSTED":
        return ServerUnavailable(f"the queue is full: {message}", reason=reason or "queue_full")
    if status == "CANCELLED" and not reason:  # not by this client: it then raises nothing of gRPC's
        return ServerAway(f"the server at {url}{_through(proxy)} ended the call: is it stopping?", held_request=True)
    if status == "UNAVAILABLE":
        if reason:
            return ServerUnavailable(message, reason=reason)
        if "queue" in message:
            return ServerUnavailable(message, reason="queue_full")
        if "shared memory" in message:
            return ServerUnavailable(message, reason="no_room")
        # gRPC lists its attempts; the last words of the first line are the most specific.
        why = message.splitlines()[0].rpartition(": ")[2] if message else "no reason given"
        sentence = f"no server answers at {url}{_through(proxy)} ({why}); {_doubt(proxy)}"
        if is_too_many_pings(error):
            return ServerAway(sentence, too_many_pings=True)
        return ServerAway(sentence, held_request=_BROKEN_CONNECTION.search(message) is not None)
    if _NO_SHARED_MEMORY in message:
        return ServerUnavailable(
            f"the shared memory of the server at {url} has no room for this video", reason="no_room"
        )
    if any(sign in message for sign in _RESTARTING):
        return ServerAway(f"the server at {url} is restarting a part of itself ({message})", partial_outage=True)
    return ServerError(message or f"the server at {url} failed ({status or 'no status'})", reason=reason)


def is_deadline(error: InferenceServerException) -> bool:
    """Whether no answer came in time."""
    return _status(error) == "DEADLINE_EXCEEDED"


def is_too_many_pings(error: InferenceServerException) -> bool:
    """Whether the server closed the connection because it was asked too often whether it is there."""
    return _status(error) == "UNAVAILABLE" and _TOO_MANY_PINGS.search(error.message() or "") is not None


def _status(error: InferenceServerException) -> str:
    return (error.status() or "").removeprefix("StatusCode.")


def _through(proxy: Proxy | None) -> str:
    return f" through {proxy}" if proxy is not None and proxy.supported else ""


def _doubt(proxy: Proxy | None) -> str:
    if proxy is None:
        return "is it running?"
    if not proxy.supported:
        return f"is it running (gRPC supports only http:// proxies, so it did not use {proxy})?"
    return "is it running, or must no_proxy name its host?"


def _split(message: str, request_id: str) -> tuple[str, str | None]:
    """The server's own sentence without Triton's prefixes, and its reason."""
    prefixes = rf"^(\[request id: (?:{re.escape(request_id)}|[^\]]*)\] |in ensemble '[^']*', )+"
    sentence = re.sub(prefixes, "", message).strip()
    if found := _REASON.search(sentence):
        return sentence[: found.start()].rstrip(), found[1]
    return sentence, None
