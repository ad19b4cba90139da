"""ONNX to TensorRT plans, with TensorRT's Python API or trtexec; TensorRT 10 and 11.

Networks are strongly typed: they compute in the types of the ONNX file. A plan works on one GPU model with one version
of TensorRT; its stamp records both.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from export.errors import ExportError

TRTEXEC_DIRECTORIES = ("/usr/src/tensorrt/bin", "/opt/tensorrt/bin")
"""Where NVIDIA's containers have trtexec; it is not in PATH."""
GPU_QUERY = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]


@dataclass(frozen=True)
class ShapeProfile:
    """The batch sizes that a plan accepts."""

    input_name: str
    """Name of the input."""
    sample: tuple[int, ...]
    """Its shape without the batch axis."""
    optimum: int
    """The batch size to optimise for."""
    maximum: int
    """The largest batch size; the smallest is 1."""

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The minimum, optimum and maximum shape of the input."""
        return tuple((batch, *self.sample) for batch in (1, self.optimum, self.maximum))


@dataclass(frozen=True)
class Stamp:
    """The inputs and the target of a plan; if any of them changes, the plan must be rebuilt."""

    onnx_sha256: str
    """Of the ONNX file."""
    profile: ShapeProfile
    """The batch sizes that it accepts."""
    gpu: str
    """The GPU's name and compute capability."""
    tensorrt: str
    """TensorRT's version."""

    def content(self) -> dict[str, Any]:
        """The stamp as a JSON object."""
        content = asdict(self)
        content["profile"]["sample"] = list(self.profile.sample)
        return content


class Builder(Protocol):
    """Builds plans."""

    version: str
    """The version of TensorRT."""

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        """Write the plan of an ONNX file; `ExportError` if TensorRT cannot build it."""


def find_builder() -> Builder:
    """The builder of this machine, Python's before trtexec; `ExportError` if it has neither."""
    if importlib.util.find_spec("tensorrt") is not None:
        return PythonBuilder()
    trtexec = shutil.which("trtexec", path=os.pathsep.join([os.environ.get("PATH", ""), *TRTEXEC_DIRECTORIES]))
    if trtexec is not None:
        return Trtexec(trtexec)
    raise ExportError(
        "TensorRT is not installed, neither the Python package tensorrt nor trtexec: export in NVIDIA's container"
    )


def name_of_gpu() -> str:
    """Name and compute capability of the GPU of this machine; `ExportError` if it has none or different ones."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    query = [*GPU_QUERY, f"--id={chosen}"] if chosen else GPU_QUERY
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ExportError(f"a plan is built on the GPU that runs it, and nvidia-smi finds no GPU: {error}") from error
    if not answer.strip():
        raise ExportError("a plan is built on the GPU that runs it, and nvidia-smi lists no GPU")
    names = {line.strip() for line in answer.strip().splitlines()}
    if len(names) > 1:
        raise ExportError(f"choose a GPU with CUDA_VISIBLE_DEVICES: this machine has {'; '.join(sorted(names))}")
    return names.pop()


def stamp_of(onnx: Path, profile: ShapeProfile, gpu: str, builder: Builder) -> Stamp:
    """The stamp of the plan that `builder` builds from `onnx`."""
    with onnx.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Stamp(digest, profile, gpu, builder.version)


class PythonBuilder:
    """TensorRT's Python API."""

    def __init__(self) -> None:
        try:
            import tensorrt
        except (ImportError, OSError) as error:
            raise ExportError(f"the Python package tensorrt is installed but cannot be imported: {error}") from error
        self._tensorrt = tensorrt
        self.version: str = tensorrt.__version__

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        tensorrt = self._tensorrt
        messages = _Messages(tensorrt)
        builder = tensorrt.Builder(messages.logger)
        # TensorRT 10 needs the flag; 11 is always strongly typed and accepts it.
        network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
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


class Trtexec:
    """The command-line tool."""

    def __init__(self, command: str) -> None:
        self._command = command
        banner = self._run(["--help"])
        found = re.search(r"\[TensorRT v(\d+)\]", banner.stdout + banner.stderr)
        self.version = f"trtexec v{found[1]}" if found else "trtexec of an unknown version"

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        shapes = ["x".join(map(str, shape)) for shape in profile.shapes()]
        bounds = zip(("min", "opt", "max"), shapes, strict=True)
        result = self._run(
            [
                f"--onnx={onnx}",
                f"--saveEngine={plan}",
                # TensorRT 10 needs the flag; 11 is always strongly typed and accepts it.
                "--stronglyTyped",
                *(f"--{bound}Shapes={profile.input_name}:{shape}" for bound, shape in bounds),
                "--skipInference",
            ]
        )
        if result.returncode or not plan.is_file():
            lines = [line for line in (result.stdout + result.stderr).splitlines() if "[E]" in line]
            reason = lines[-1] if lines else f"exit status {result.returncode}"
            raise ExportError(f"trtexec cannot build {onnx.name}: {reason}")

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self._command, *arguments], capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise ExportError(f"{self._command} cannot be started: {error.strerror}") from error
