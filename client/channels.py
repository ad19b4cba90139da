"""How connections to servers are made, the one place for both clients."""

from tritonclient import grpc
from tritonclient.grpc import aio

_ARGUMENTS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pause before it connects again grows to two minutes: too long for a server that is back after seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # which is also how long connecting may take
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def connect(url: str) -> grpc.InferenceServerClient:
    """A connection that is made when first used."""
    return grpc.InferenceServerClient(url, channel_args=_ARGUMENTS)


def connect_async(url: str) -> aio.InferenceServerClient:
    """The same for the event loop that runs."""
    return aio.InferenceServerClient(url, channel_args=_ARGUMENTS)
