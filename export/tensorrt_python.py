"""TensorRT's Python package: building plans, and running them with PyTorch's tensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.errors import ExportError
from export.tensorrt import ALWAYS_STRONGLY_TYPED, Release, ShapeProfile, layer_names

DEVICE = "cuda"
"""Where plans run; tests replace it and `open_stream`."""


def open_stream() -> Any:
    """A stream of this machine's GPU."""
    return torch.cuda.Stream()


class PythonBuilder:
    """A `Builder` with the Python package; `run` needs a PyTorch with CUDA."""

    def __init__(self) -> None:
        try:
            import tensorrt
        except (ImportError, OSError) as error:
            raise ExportError(f"the Python package tensorrt is installed but cannot be imported: {error}") from error
        self._tensorrt = tensorrt
        self.version: str = tensorrt.__version__
        major, minor = self.version.split(".")[:2]
        self.release: Release = (int(major), int(minor))

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        """Write the plan of an ONNX file; `ExportError` if TensorRT cannot build it."""
        tensorrt = self._tensorrt
        messages = _Messages(tensorrt)
        builder = tensorrt.Builder(messages.logger)
        flags = 0
        if self.release < ALWAYS_STRONGLY_TYPED:
            flags = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(flags)
        parser = tensorrt.OnnxParser(network, messages.logger)
        if not parser.parse_from_file(str(onnx)):
            errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
            raise ExportError(f"TensorRT {self.version} cannot read {onnx.name}: {'; '.join(errors)}")
        batches = builder.create_optimization_profile()
        batches.set_shape(profile.input_name, *profile.shapes())
        config = builder.create_builder_config()
        config.add_optimization_profile(batches)
        serialized = builder.build_serialized_network(network, config)
        if serialized is None:
            raise ExportError(f"TensorRT {self.version} cannot build {onnx.name}: {messages.last}")
        plan.write_bytes(serialized)

    def layers(self, plan: Path) -> list[str]:
        """The names of a plan's layers."""
        return Engine(plan).layers()

    def run(self, plan: Path, input_name: str, value: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The outputs of a plan, by their names."""
        engine = Engine(plan)
        outputs = engine.bind({input_name: torch.from_numpy(value)})
        engine.run()
        return {name: output.cpu().numpy() for name, output in outputs.items()}


class Engine:
    """A plan on this machine's GPU; `ExportError` if TensorRT cannot read it."""

    def __init__(self, plan: Path) -> None:
        import tensorrt

        self._tensorrt = tensorrt
        messages = _Messages(tensorrt)
        self._runtime = tensorrt.Runtime(messages.logger)  # must live as long as the engine
        self._engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if self._engine is None:
            raise ExportError(f"TensorRT {tensorrt.__version__} cannot load {plan.name}: {messages.last}")
        self._context = self._engine.create_execution_context()
        self._stream = open_stream()
        self._tensors: dict[str, Tensor] = {}

    def layers(self) -> list[str]:
        """The names of the layers."""
        information = self._engine.create_engine_inspector().get_engine_information(
            self._tensorrt.LayerInformationFormat.JSON
        )
        return layer_names(json.loads(information))

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return self._names(self._tensorrt.TensorIOMode.INPUT)

    def bind(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Copy the inputs to the GPU; the float32 tensors there that `run` writes the outputs to, by their names."""
        self._tensors = {name: value.contiguous().to(DEVICE) for name, value in inputs.items()}
        for name, value in self._tensors.items():
            self._context.set_input_shape(name, tuple(value.shape))
        outputs = {
            name: torch.empty(tuple(self._context.get_tensor_shape(name)), device=DEVICE)
            for name in self._names(self._tensorrt.TensorIOMode.OUTPUT)
        }
        self._tensors |= outputs
        for name, tensor in self._tensors.items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        return outputs

    def run(self) -> None:
        """Compute the outputs of the inputs that were bound, and wait for them."""
        if not self._context.execute_async_v3(self._stream.cuda_stream):
            raise ExportError(f"TensorRT {self._tensorrt.__version__} cannot run the plan")
        self._stream.synchronize()

    def _names(self, mode: Any) -> list[str]:
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        return [name for name in names if self._engine.get_tensor_mode(name) == mode]


class _Messages:
    """Keeps TensorRT's last error: it goes to a logger, not to the caller."""

    def __init__(self, tensorrt: Any) -> None:
        self.last = "TensorRT gave no reason"
        kept = self

        class Logger(tensorrt.ILogger):
            def __init__(self) -> None:
                tensorrt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR):
                    kept.last = message

        self.logger = Logger()
