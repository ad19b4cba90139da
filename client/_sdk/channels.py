"""Connections to servers, for both clients."""

from pathlib import Path
from typing import Any

from tritonclient import grpc
from tritonclient.grpc import aio

from ..errors import UnreadableFile
from .tls import Tls

_ARGUMENTS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pauses between connection attempts grow to two minutes; a server may be back after seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # also the timeout of a connection attempt
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def connect(url: str, tls: Tls | None = None) -> grpc.InferenceServerClient:
    """A connection that opens with its first request. Raises `UnreadableFile` if a file of `tls` cannot be read."""
    return grpc.InferenceServerClient(url, channel_args=_ARGUMENTS, **_encryption(tls))


def connect_async(url: str, tls: Tls | None = None) -> aio.InferenceServerClient:
    """The same for the running event loop."""
    return aio.InferenceServerClient(url, channel_args=_ARGUMENTS, **_encryption(tls))


def _encryption(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    files = {"root_certificates": tls.ca, "certificate_chain": tls.certificate, "private_key": tls.key}
    given = {name: str(path) for name, path in files.items() if path is not None}
    for path in given.values():
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise UnreadableFile(f"cannot read {path}: {error.strerror}") from error
    return {"ssl": True, **given}
