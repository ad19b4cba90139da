"""A gRPC server in this process that gives every video the same scores, for tests of connections."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from fixtures.fake_server import OUTPUTS
from server.ports import LOOPBACK


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers at once, unless a test holds its answers."""

    def __init__(self) -> None:
        self.asked = 0
        """Calls for inference so far."""
        self.peers: set[str] = set()
        """The connections that they came by."""
        self.cancelled: frozenset[int] = frozenset()
        """Numbers of the calls, from 1 on, that it cancels, as a server that stops may do."""
        self.answering = threading.Event()
        """Calls for inference wait until it is set."""
        self.answering.set()

    def ModelInfer(self, request: Any, context: Any) -> Any:
        """The outputs that the request names."""
        self.peers.add(context.peer())
        self.asked += 1
        self.answering.wait(30)
        if self.asked in self.cancelled:
            context.abort(grpc.StatusCode.CANCELLED, "")
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        for output in request.outputs:
            kind, shape, content = OUTPUTS[output.name]
            answer.outputs.add(name=output.name, datatype=kind, shape=shape)
            answer.raw_output_contents.append(content)
        return answer

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        """Knows no model that may be missing."""
        context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - gRPC's signature
        """Always ready."""
        return service_pb2.ServerReadyResponse(ready=True)


@contextmanager
def fake_triton(
    options: list[tuple[str, int]] | None = None,
    credentials: grpc.ServerCredentials | None = None,
    address: str = LOOPBACK,
    port: int = 0,
) -> Iterator[tuple[FakeTriton, int]]:
    """One that is listening, with these options of gRPC, and its port; encrypted if there are credentials."""
    triton = FakeTriton()
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, options=options or [])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
        where = f"{address}:{port}"
        port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
        server.start()
        try:
            yield triton, port
        finally:
            triton.answering.set()
            server.stop(0).wait()
