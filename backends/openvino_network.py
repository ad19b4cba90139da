"""A network in OpenVINO on the CPU."""

import contextlib
import os
from pathlib import Path

import openvino
import triton_python_backend_utils as pb_utils

from backends.compute_lock import ComputeLock
from backends.precision import precision_of_this_cpu
from backends.tensors import Network, Tensors, TensorSpec


class OpenVinoNetwork(Network):
    """An ONNX file compiled for the CPU; ValueError if the precision is not available."""

    def __init__(self, path: Path, asked: str, *, compute_lock: bool, cache: Path | None = None) -> None:
        precision = precision_of_this_cpu(asked)
        if precision == "int8":
            path = path.with_name(f"{path.stem}_int8.xml")
            if not path.is_file():
                raise ValueError(f"PRECISION is int8, but {path} is missing: export with --int8")
        hints = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
            # A stub runs one request at a time, on all cores.
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        }
        if cache is not None and _prepare_cache(cache, path):
            hints["CACHE_DIR"] = str(cache)
        compiled = openvino.Core().compile_model(path, "CPU", hints)
        self.inputs = [_spec(port) for port in compiled.inputs]
        self.outputs = [_spec(port) for port in compiled.outputs]
        self._request = compiled.create_infer_request()
        self._turn = ComputeLock().take if compute_lock else contextlib.nullcontext

    def run(self, inputs: Tensors) -> Tensors:
        with self._turn():
            results = self._request.infer(inputs, share_inputs=True)
        return {spec.name: results[spec.name] for spec in self.outputs}


def _prepare_cache(directory: Path, network: Path) -> bool:
    """Whether `directory` can be used as a cache; removes compiled networks older than `network`."""
    try:
        directory.mkdir(exist_ok=True)
        for blob in directory.glob("*.blob"):
            if blob.stat().st_mtime < network.stat().st_mtime:
                blob.unlink(missing_ok=True)
    except OSError as error:
        pb_utils.Logger.log_warn(f"no cache in {directory} ({error.strerror}): networks are compiled at every start")
        return False
    return os.access(directory, os.W_OK)


def _spec(port: openvino.ConstOutput) -> TensorSpec:
    shape = tuple(-1 if axis.is_dynamic else axis.get_length() for axis in port.partial_shape)
    return TensorSpec(port.any_name, port.element_type.to_dtype(), shape)
