"""The `onnxruntime` backend with pip's ONNX Runtime, for a Triton without the native one.

It uses CUDA for an instance on a GPU, else the CPU, and the precision of the ONNX file. `parameters` of config.pbtxt:

- EXECUTION_BATCH_SIZE: the largest batch that the network runs at once; larger ones are split

On a GPU, `optimization.execution_accelerators` of config.pbtxt gives the options of the accelerator `cuda`, as for the
native backend.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils  # noqa: F401 - before the project: it puts PYTHONPATH into sys.path

from backends.accelerators import options_of
from backends.network import NetworkModel
from backends.tensors import Network, Tensors, TensorSpec
from video.cgroup import usable_cores

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}


class OnnxRuntimeNetwork(Network):
    """An ONNX file in an inference session, with ONNX Runtime's `cuda` options if it runs on a GPU."""

    def __init__(self, path: Path, gpu: int | None, cuda: Mapping[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        providers: list[Any] = [CPU]
        if gpu is not None:
            if CUDA not in onnxruntime.get_available_providers():
                raise ValueError("its instance needs a GPU, and this ONNX Runtime has no CUDA: run `make setup-gpu`")
            onnxruntime.preload_dlls()  # CUDA's libraries, from where pip installs them
            providers = [(CUDA, {**cuda, "device_id": gpu}), CPU]
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        if gpu is not None and self._session.get_providers()[0] != CUDA:
            # If CUDA's libraries do not load, it falls back to the CPU with no more than a line in the log.
            raise ValueError("ONNX Runtime cannot use CUDA: see its log")
        self.inputs = [_spec(tensor) for tensor in self._session.get_inputs()]
        self.outputs = [_spec(tensor) for tensor in self._session.get_outputs()]

    def run(self, inputs: Tensors) -> Tensors:
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, self._session.run(names, inputs), strict=True))


def _spec(tensor: onnxruntime.NodeArg) -> TensorSpec:
    kind = TYPES.get(tensor.type) or tensor.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(axis if isinstance(axis, int) else -1 for axis in tensor.shape)
    return TensorSpec(tensor.name, np.dtype(kind), shape)


class TritonPythonModel(NetworkModel):
    """The class that Triton loads."""

    runtime = "ONNX Runtime"
    strict = True

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str], gpu: int | None) -> Network:
        return OnnxRuntimeNetwork(path, gpu, options_of("cuda", settings))
