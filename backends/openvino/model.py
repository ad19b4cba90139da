"""The `openvino` backend from pip's OpenVINO, for a Triton that lacks the native one.

Settings, as `parameters` of config.pbtxt:

- PRECISION: `f32`, `bf16`, or `auto` (bf16 where the CPU has instructions for it); the environment's `PRECISION` where
  the configuration has none, else `auto`
- EXECUTION_BATCH_SIZE: the most rows that the network is given at once
- TAKE_TURNS: `true` for a network that computes only while no other such network of the server does
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import openvino

from backends.network import Network, NetworkModel, Tensors, TensorSpec
from backends.precision import choose_precision
from backends.turns import Turns


class OpenVinoNetwork(Network):
    """An ONNX file compiled for the CPU."""

    def __init__(self, path: Path, asked: str, *, take_turns: bool) -> None:
        core = openvino.Core()
        precision = choose_precision(asked, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        hints = {
            "INFERENCE_PRECISION_HINT": precision,
            # One request at a time, on all cores: what the stubs of Triton's python backend do.
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        }
        compiled = core.compile_model(core.read_model(path), "CPU", hints)
        self.inputs = [_spec(port) for port in compiled.inputs]
        self.outputs = [_spec(port) for port in compiled.outputs]
        self._request = compiled.create_infer_request()

        self._turn = Turns().take if take_turns else contextlib.nullcontext

    def run(self, inputs: Tensors) -> Tensors:
        with self._turn():
            results = self._request.infer(inputs, share_inputs=True)
        return {spec.name: results[spec.name] for spec in self.outputs}


def _spec(port: openvino.ConstOutput) -> TensorSpec:
    shape = tuple(-1 if axis.is_dynamic else axis.get_length() for axis in port.partial_shape)
    return TensorSpec(port.any_name, port.element_type.to_dtype(), shape)


class TritonPythonModel(NetworkModel):
    """What Triton loads."""

    runtime = "OpenVINO"

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str]) -> Network:
        precision = settings.get("PRECISION") or os.environ.get("PRECISION") or "auto"
        return OpenVinoNetwork(path, precision, take_turns=settings.get("TAKE_TURNS") == "true")
