"""TensorRT plans and what builds them: TensorRT's Python API or trtexec, of TensorRT 10 or 11.

Networks are strongly typed: they compute in the types of the ONNX file. TensorRT 10 is told so; 11 knows no other
networks. A plan works on one GPU model with one version of TensorRT; its stamp records both.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from export.attention import AttentionForm
from export.errors import ExportError

TRTEXEC_DIRECTORIES = ("/usr/src/tensorrt/bin", "/opt/tensorrt/bin")
"""Where NVIDIA's containers have trtexec; it is not in PATH."""
GPU_QUERY = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]

Release = tuple[int, int]
"""The first two numbers of a version of TensorRT."""
OLDEST: Release = (10, 0)
ALWAYS_STRONGLY_TYPED: Release = (11, 0)
"""From here on, networks are strongly typed without being told so."""
FLOAT32_ACCUMULATION: Release = (11, 3)
"""From here on, fused attention accumulates in float32 if its fp16 tensors are cast to it (release notes of 11.3)."""


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
    """Builds plans, and runs them to check them."""

    version: str
    """The version of TensorRT."""
    release: Release
    """Its first two numbers."""

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        """Write the plan of an ONNX file; `ExportError` if TensorRT cannot build it."""

    def layers(self, plan: Path) -> list[str]:
        """The names of a plan's layers, which are the names of its kernels where TensorRT has fused several layers."""

    def run(self, plan: Path, input_name: str, value: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The outputs of a plan, which are float32, by their names."""


def find_builder() -> Builder:
    """The builder of this machine, Python's before trtexec; `ExportError` if it has neither or it is too old."""
    builder = _find_builder()
    if builder.release < OLDEST:
        raise ExportError(f"TensorRT {builder.version} is too old for these networks: install TensorRT 10 or newer")
    return builder


def _find_builder() -> Builder:
    from export.tensorrt_python import PythonBuilder
    from export.trtexec import Trtexec

    has_python = importlib.util.find_spec("tensorrt") is not None
    if has_python and pytorch_has_cuda():
        return PythonBuilder()
    trtexec = shutil.which("trtexec", path=os.pathsep.join([os.environ.get("PATH", ""), *TRTEXEC_DIRECTORIES]))
    if trtexec is not None:
        return Trtexec(trtexec)
    if has_python:
        raise ExportError(
            "the plans could not be compared with PyTorch, because this PyTorch has no CUDA and there is no trtexec: "
            "export in NVIDIA's container"
        )
    raise ExportError(
        "TensorRT is not installed, neither the Python package tensorrt nor trtexec: export in NVIDIA's container"
    )


def pytorch_has_cuda() -> bool:
    """Whether PyTorch can hold the tensors that a plan reads and writes."""
    return torch.cuda.is_available()


def attention_of(release: Release) -> AttentionForm:
    """The form of attention that this TensorRT fuses, with accumulation in float32 if it can."""
    return AttentionForm.TENSORRT_FLOAT32 if release >= FLOAT32_ACCUMULATION else AttentionForm.TENSORRT


def layer_names(information: dict[str, Any]) -> list[str]:
    """The names in an engine inspector's JSON: its layers are names, or objects if the plan was built with details."""
    return [layer if isinstance(layer, str) else str(layer["Name"]) for layer in information["Layers"]]


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
