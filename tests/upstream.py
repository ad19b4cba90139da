"""A gRPC server that stands where Triton would, behind a proxy, and records the calls that it gets."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from server.ports import LOOPBACK, free_ports
from server.proxy import MESSAGES, Proxy


class Upstream(grpc.GenericRpcHandler):
    """Answers every call with its own bytes."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, dict[str, str | bytes]]] = []
        """The bytes and the metadata of each call."""
        self.during: Callable[[], None] = lambda: None
        """What to do while a call is answered."""
        self.failure: str | None = None
        """The message with which it refuses every call as unavailable."""
        self.address = ""
        """ADDRESS:PORT."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        metadata = dict(handler_call_details.invocation_metadata)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append((request, metadata))
            self.during()
            if self.failure is not None:
                context.abort(grpc.StatusCode.UNAVAILABLE, self.failure)
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    handler = Upstream()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler], options=MESSAGES)
    handler.address = f"{LOOPBACK}:{server.add_insecure_port(f'{LOOPBACK}:0')}"
    server.start()
    yield handler
    server.stop(0).wait()


@contextmanager
def proxied(upstream: Upstream, **settings: Any) -> Iterator[tuple[Proxy, grpc.Channel]]:
    """A proxy in front of `upstream`, with these settings, and a channel to it, which is closed after the proxy."""
    (port,) = free_ports(LOOPBACK, 1)
    proxy = Proxy(LOOPBACK, port, upstream.address, **settings)
    with grpc.insecure_channel(f"{LOOPBACK}:{port}", options=MESSAGES) as channel:
        try:
            yield proxy, channel
        finally:
            proxy.close()
