"""A gRPC server that stands where Triton would, behind the proxy, and records the calls that it gets."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from server.ports import LOOPBACK
from server.proxy import MESSAGES


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
