"""A stand-in for what the export uses of TensorRT's Python package and of trtexec, releases 10 and 11.

A "plan" is JSON with the ONNX file that it was built of. Names and calls are those of the packages tensorrt 10.13.3.9
and 11.4.0.106, and the files of trtexec those of NVIDIA's source (samples/common/sampleReporting.cpp).
"""

import base64
import ctypes
import json
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = b"mean"
"""An ONNX file for tests that need none: the network is the mean of each sample."""


def outputs_of_plan(plan: dict[str, Any], value: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """What the ONNX file of a plan computes; off by 1 at the batch that the plan is wrong at."""
    onnx = base64.b64decode(plan["onnx"])
    if onnx.startswith(SEED):
        outputs = {"OUT": value.reshape(len(value), -1).mean(axis=1, keepdims=True, dtype=np.float32)}
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: value}), strict=True))
    wrong = plan["wrong"]
    if wrong is not None and len(value) == wrong[0]:
        outputs = {name: output + np.float32(wrong[1]) for name, output in outputs.items()}
    return outputs


def inspected(plan: dict[str, Any]) -> dict[str, Any]:
    """The engine inspector's JSON for a plan that was built without details."""
    layers = ["__myl_CastTran_myl0_0", *(f"_gemm_mha_v2_myl0_{index}" for index in range(1, plan["fused"] + 1))]
    tensors = {"Bindings": ["IN", "OUT"]} if plan["major"] == 10 else {"I/O Tensors": [{"Name": "IN"}]}
    return {"Layers": [*layers, "[ONNX Layer: node_Softmax_7]"], **tensors}


def make(
    version: str,
    *,
    parses: bool = True,
    builds: bool = True,
    fused: int = 1,
    wrong: tuple[int, float] | None = None,
) -> dict[str, Any]:
    """The contents of a module `tensorrt`.

    `fused` is the number of kernels for attention in its plans, `wrong` a batch at which they are off and by how much.
    """
    major = int(version.split(".")[0])

    class ILogger:
        class Severity(IntEnum):
            INTERNAL_ERROR, ERROR, WARNING = range(3)

    class Network:
        onnx = b""
        strongly_typed = False

    class OnnxParser:
        num_errors = 1

        def __init__(self, network: Network, logger: ILogger) -> None:  # noqa: ARG002 - as TensorRT's
            self.network = network

        def parse_from_file(self, path: str) -> bool:
            self.network.onnx = Path(path).read_bytes()
            return parses

        def get_error(self, index: int) -> Any:  # noqa: ARG002
            class Error:
                def desc(self) -> str:
                    return "no importer for Frobnicate"

            return Error()

    class OptimizationProfile:
        def __init__(self) -> None:
            self.shapes: dict[str, list[Sequence[int]]] = {}

        def set_shape(self, name: str, *shapes: Sequence[int]) -> None:
            self.shapes[name] = list(shapes)

    class BuilderConfig:
        def __init__(self) -> None:
            self.profiles: list[OptimizationProfile] = []

        def add_optimization_profile(self, profile: OptimizationProfile) -> None:
            self.profiles.append(profile)

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def create_network(self, flags: int = 0) -> Network:
            network = Network()
            network.strongly_typed = major >= 11 or bool(flags & 2)
            return network

        def create_optimization_profile(self) -> OptimizationProfile:
            return OptimizationProfile()

        def create_builder_config(self) -> BuilderConfig:
            return BuilderConfig()

        def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None:
            if not network.strongly_typed or not builds:
                self.logger.log(ILogger.Severity.WARNING, "it is hot today")
                self.logger.log(ILogger.Severity.ERROR, "no tactic for Softmax")
                self.logger.log(ILogger.Severity.WARNING, "it is warm today")
                return None
            return written(network.onnx, [profile.shapes for profile in config.profiles], major, fused, wrong)

    class TensorIOMode(IntEnum):
        NONE, INPUT, OUTPUT = range(3)

    class LayerInformationFormat(IntEnum):
        ONELINE, JSON = range(2)

    class EngineInspector:
        def __init__(self, plan: dict[str, Any]) -> None:
            self.plan = plan

        def get_engine_information(self, layout: LayerInformationFormat) -> str:
            assert layout is LayerInformationFormat.JSON
            return json.dumps(inspected(self.plan))

    class ExecutionContext:
        def __init__(self, plan: dict[str, Any]) -> None:
            self.plan = plan
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self.shapes[name] = shape
            zeros = np.zeros(shape, np.uint8)
            self.shapes |= {output: found.shape for output, found in outputs_of_plan(self.plan, zeros).items()}
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self.shapes[name]

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:  # noqa: ARG002
            (name,) = self.plan["profiles"][0]
            size = int(np.prod(self.shapes[name]))
            memory = ctypes.string_at(self.addresses[name], size)
            value = np.frombuffer(memory, np.uint8).reshape(self.shapes[name])
            for output, found in outputs_of_plan(self.plan, value).items():
                ctypes.memmove(self.addresses[output], np.ascontiguousarray(found).ctypes.data, found.nbytes)
            return True

    class Engine:
        def __init__(self, plan: dict[str, Any]) -> None:
            self.plan = plan
            (name,) = plan["profiles"][0]
            sample = np.zeros((1, *plan["profiles"][0][name][0][1:]), np.uint8)
            self.names = [name, *outputs_of_plan(plan, sample)]
            self.num_io_tensors = len(self.names)

        def get_tensor_name(self, index: int) -> str:
            return self.names[index]

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return TensorIOMode.INPUT if name == self.names[0] else TensorIOMode.OUTPUT

        def create_engine_inspector(self) -> EngineInspector:
            return EngineInspector(self.plan)

        def create_execution_context(self) -> ExecutionContext:
            return ExecutionContext(self.plan)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, serialized: bytes) -> Engine | None:
            try:
                return Engine(json.loads(serialized))
            except ValueError:
                self.logger.log(ILogger.Severity.ERROR, "the plan was built by another version")
                return None

    names = dict(locals())
    contents: dict[str, Any] = {name: value for name, value in names.items() if isinstance(value, type)}
    contents["__version__"] = version
    if major == 10:  # 11 keeps the flag and ignores it, and says that it goes: the code must do without

        class NetworkDefinitionCreationFlag(IntEnum):
            EXPLICIT_BATCH, STRONGLY_TYPED = range(2)

        contents["NetworkDefinitionCreationFlag"] = NetworkDefinitionCreationFlag
    return contents


def written(onnx: bytes, profiles: list[Any], major: int, fused: int, wrong: tuple[int, float] | None) -> bytes:
    """A plan."""
    encoded = base64.b64encode(onnx).decode()
    return json.dumps({"onnx": encoded, "profiles": profiles, "major": major, "fused": fused, "wrong": wrong}).encode()


def trtexec(version: int, *, builds: bool = True, fused: int = 1, wrong: tuple[int, float] | None = None) -> None:
    """The main function of a trtexec, with the arguments of this process."""
    options = dict(argument[2:].partition("=")[::2] for argument in sys.argv[1:])
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{version}] [b9] # trtexec")
    if "help" in options:
        return
    typed = "stronglyTyped" in options
    if version >= 110000:
        _fail_if(typed, "Unknown option: --stronglyTyped")
    if "onnx" in options:
        _fail_if(not builds or not (typed or version >= 110000), "Error[4]: no tactic for Softmax")
        assert "skipInference" in options
        (name,) = {options[bound + "Shapes"].split(":")[0] for bound in ("min", "opt", "max")}
        shapes = [_sizes(options[bound + "Shapes"].split(":")[1]) for bound in ("min", "opt", "max")]
        plan = written(Path(options["onnx"]).read_bytes(), [{name: shapes}], version // 10000, fused, wrong)
        Path(options["saveEngine"]).write_bytes(plan)
        return
    plan = json.loads(Path(options["loadEngine"]).read_bytes())
    if "skipInference" in options:
        Path(options["exportLayerInfo"]).write_text(json.dumps(inspected(plan)))
        return
    (name, shape), (loaded, path) = options["shapes"].split(":"), options["loadInputs"].split(":")
    assert name == loaded
    value = np.fromfile(path, np.uint8).reshape(_sizes(shape))
    with Path(options["exportOutput"]).open("w") as file:
        print("[", file=file)
        for index, (output, found) in enumerate(outputs_of_plan(plan, value).items()):
            values = ", ".join(f"{number:.6g}" for number in found.ravel())
            print(f'{", " if index else "  "}{{ "name" : "{output}"', file=file)
            print(f'  , "dimensions" : "{"x".join(map(str, found.shape))}"', file=file)
            print(f'  , "values" : [ {values} ]\n  }}', file=file)
        print("]", file=file)


def _sizes(shape: str) -> list[int]:
    return [int(size) for size in shape.split("x")]


def _fail_if(wrong: bool, reason: str) -> None:
    if wrong:
        print(f"[11/22/2026-10:00:00] [E] {reason}")
        print("&&&& FAILED TensorRT.trtexec")
        raise SystemExit(1)
