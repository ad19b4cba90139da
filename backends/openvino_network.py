"""A network in OpenVINO on the CPU."""

import contextlib
from pathlib import Path
from queue import SimpleQueue

import openvino
import triton_python_backend_utils as pb_utils

from backends.compiled_cache import describe_cpu, prepare_cache
from backends.compute_lock import ComputeLock
from backends.precision import precision_of_this_cpu
from backends.tensors import Network, Tensors, TensorSpec
from video.cgroup import usable_cores


class OpenVinoNetwork(Network):
    """An ONNX file compiled for the CPU; ValueError if the precision is not available."""

    def __init__(
        self, path: Path, asked: str, *, compute_lock: bool, cache: Path | None = None, streams: int = 1
    ) -> None:
        """`streams`: how many runs at once, each on its part of the cores."""
        precision = precision_of_this_cpu(asked)
        if precision == "int8":
            path = path.with_name(f"{path.stem}_int8.xml")
            if not path.is_file():
                raise ValueError(f"PRECISION is int8, but {path} is missing: export with --int8")
        hints = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": usable_cores(),
        }
        if streams > 1:
            # Not pinned: a stream of this network and one of another would be pinned to the same cores.
            hints |= {"NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        if cache is not None:
            try:
                hints["CACHE_DIR"] = str(prepare_cache(cache, path, openvino.get_version(), describe_cpu()))
            except OSError as error:
                pb_utils.Logger.log_warn(
                    f"no cache in {cache} ({error.strerror}): networks are compiled at every start"
                )
        compiled = openvino.Core().compile_model(path, "CPU", hints)
        self.inputs = [_spec(port) for port in compiled.inputs]
        self.outputs = [_spec(port) for port in compiled.outputs]
        self.at_once = streams
        self._requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())
        self._turn = ComputeLock(streams).take if compute_lock else contextlib.nullcontext

    def run(self, inputs: Tensors) -> Tensors:
        request = self._requests.get()
        try:
            with self._turn():
                results = request.infer(inputs, share_inputs=True)
            return {spec.name: results[spec.name] for spec in self.outputs}
        finally:
            self._requests.put(request)


def _spec(port: openvino.ConstOutput) -> TensorSpec:
    shape = tuple(-1 if axis.is_dynamic else axis.get_length() for axis in port.partial_shape)
    return TensorSpec(port.any_name, port.element_type.to_dtype(), shape)
