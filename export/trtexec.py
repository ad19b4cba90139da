"""trtexec, TensorRT's command-line tool: building plans, and running them with files."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.tensorrt import ALWAYS_STRONGLY_TYPED, Release, ShapeProfile, layer_names

BANNER = re.compile(r"\[TensorRT v(\d+)\]")
"""The version without points, two digits each for minor version and patch: 101303 is 10.13.3."""
NO_NUMBER = re.compile(r"-?\b(?:nan|inf)\b")
"""How C++ prints what is not a number, which JSON does not allow."""


class Trtexec:
    """A `Builder` with the command-line tool."""

    def __init__(self, command: str) -> None:
        self._command = command
        banner = self._run(["--help"])
        found = BANNER.search(banner.stdout + banner.stderr)
        if not found:
            raise ExportError(f"{command} does not say which version of TensorRT it belongs to")
        self.version = f"trtexec v{found[1]}"
        self.release: Release = (int(found[1]) // 10000, int(found[1]) // 100 % 100)

    def build(self, onnx: Path, plan: Path, profile: ShapeProfile) -> None:
        """Write the plan of an ONNX file; `ExportError` if trtexec cannot build it."""
        shapes = [_shape(shape) for shape in profile.shapes()]
        bounds = zip(("min", "opt", "max"), shapes, strict=True)
        arguments = [
            f"--onnx={onnx}",
            f"--saveEngine={plan}",
            *(f"--{bound}Shapes={profile.input_name}:{shape}" for bound, shape in bounds),
            "--skipInference",
        ]
        if self.release < ALWAYS_STRONGLY_TYPED:
            arguments.append("--stronglyTyped")
        self._check(arguments, plan, f"build {onnx.name}")

    def layers(self, plan: Path) -> list[str]:
        """The names of a plan's layers."""
        with tempfile.TemporaryDirectory() as directory:
            written = Path(directory, "layers.json")
            arguments = [f"--loadEngine={plan}", "--skipInference", f"--exportLayerInfo={written}"]
            self._check(arguments, written, f"load {plan.name}")
            return layer_names(json.loads(written.read_text()))

    def run(self, plan: Path, input_name: str, value: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """The outputs of a plan, by their names."""
        with tempfile.TemporaryDirectory() as directory:
            given, written = Path(directory, "input.bin"), Path(directory, "outputs.json")
            value.tofile(given)
            arguments = [
                f"--loadEngine={plan}",
                f"--shapes={input_name}:{_shape(value.shape)}",
                f"--loadInputs={input_name}:{given}",
                f"--exportOutput={written}",
                *("--iterations=1", "--duration=0", "--warmUp=0"),
            ]
            self._check(arguments, written, f"run {plan.name}")
            outputs: list[dict[str, Any]] = json.loads(NO_NUMBER.sub("NaN", written.read_text()))
        return {
            output["name"]: np.array(output["values"], np.float32).reshape(
                [int(size) for size in output["dimensions"].split("x")]
            )
            for output in outputs
        }

    def _check(self, arguments: list[str], written: Path, what: str) -> None:
        """Run trtexec; `ExportError` if it failed or did not write its file."""
        result = self._run(arguments)
        if result.returncode or not written.is_file():
            lines = [line for line in (result.stdout + result.stderr).splitlines() if "[E]" in line]
            reason = lines[-1] if lines else f"exit status {result.returncode}"
            raise ExportError(f"trtexec cannot {what}: {reason}")

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self._command, *arguments], capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise ExportError(f"{self._command} cannot be started: {error.strerror}") from error


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
