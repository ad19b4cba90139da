"""A gRPC server in this process in place of Triton: its camera classifier answers after a fixed time."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

_LABELS = ["bright", "dark"]
_WEIGHTS = json.dumps({"motion": "none", "camera": "none", "precision": "f32", "labels": _LABELS}).encode()


class _StandIn(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - gRPC's signature
        """`WEIGHTS` at once; the mean of a clip, from 0 to 1, after the fixed time."""
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        if request.outputs[0].name == "WEIGHTS":
            answer.outputs.add(name="WEIGHTS", datatype="BYTES", shape=[1])
            answer.raw_output_contents.append(len(_WEIGHTS).to_bytes(4, "little") + _WEIGHTS)
            return answer
        time.sleep(self._answer_seconds)
        bright = np.frombuffer(request.raw_input_contents[0], np.uint8).mean() / 255
        answer.outputs.add(name="CAMERA_PROBABILITIES", datatype="FP32", shape=[1, 2])
        answer.raw_output_contents.append(np.array([bright, 1 - bright], np.float32).tobytes())
        return answer

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        """There is no model that a server may lack."""
        context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")


@contextmanager
def stand_in(answer_seconds: float) -> Iterator[str]:
    """The address of one that answers after so long."""
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=[("grpc.max_receive_message_length", -1)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_StandIn(answer_seconds), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()
