"""The `onnxruntime` backend from pip's ONNX Runtime, for a Triton that lacks the native one.

CUDA where the installed ONNX Runtime has it, the CPU otherwise, in the precision of the ONNX file. Settings, as
`parameters` of config.pbtxt:

- EXECUTION_BATCH_SIZE: the most rows that the network is given at once
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from backends.network import Network, NetworkModel, Tensors, TensorSpec

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}


class OnnxRuntimeNetwork(Network):
    """An ONNX file in an inference session."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        available = onnxruntime.get_available_providers()
        providers = [provider for provider in PROVIDERS if provider in available]
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)
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
    """What Triton loads."""

    runtime = "ONNX Runtime"

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str]) -> Network:  # noqa: ARG003 - none are for the runtime
        return OnnxRuntimeNetwork(path)
