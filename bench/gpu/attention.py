"""Which of its kernels ONNX Runtime computes attention with on this machine's GPU.

ONNX Runtime prints the choice for each node if `ORT_ENABLE_ATTENTION_KERNEL_DEBUG_INFO` is 1. It writes to the file
descriptor of the standard output, so a process of its own runs the network: `python -m bench.gpu.attention`.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from bench.gpu.sessions import open_session, runner
from bench.gpu.steps import Figure

VARIABLE = "ORT_ENABLE_ATTENTION_KERNEL_DEBUG_INFO"
CHOICE = re.compile(
    r"Operator=MultiHeadAttention(?: Node=(?P<node>.*?))? DataType=(?P<data_type>\w+) SdpaKernel=(?P<kernel>\w+)"
)
"""A line of AttentionKernelDebugInfo::Print in attention_kernel_options.cc."""
UNFUSED = "MATH"
SECONDS = 600


@dataclass(frozen=True)
class Choice:
    """The kernel of one node in one run."""

    node: str
    """The node's name; empty if it has none."""
    data_type: str
    """`fp16`, `bf16` or `fp32`."""
    kernel: str
    """`MATH` if it is not fused."""


def choices(output: str) -> list[Choice]:
    """The choices in what ONNX Runtime printed."""
    found = CHOICE.finditer(output)
    return [Choice(match["node"] or "", match["data_type"], match["kernel"]) for match in found]


def verdict(found: Sequence[Choice], nodes: int, compute_capability: str) -> Figure:
    """Wrong if one of the `nodes` is not fused or not in fp16, slow if the GPU has a faster kernel."""
    kernels = Counter(f"{choice.kernel} in {choice.data_type}" for choice in found)
    text = ", ".join(f"{count} x {kernel}" for kernel, count in kernels.items()) or "ONNX Runtime named no kernel"
    right = len(found) == nodes and all(choice.kernel != UNFUSED and choice.data_type == "fp16" for choice in found)
    wanted = wanted_kernel(compute_capability)
    fast = wanted is None or all(choice.kernel == wanted for choice in found)
    goal = f" (goal: {wanted})" if wanted else ""
    return Figure(f"{text}, in {nodes} layers{goal}", right=right, fast=fast)


def wanted_kernel(compute_capability: str) -> str | None:
    """The fastest kernel by what others measured; None for a GPU that has neither flash attention nor cuDNN's.

    Hopper and later: cuDNN's, 373 to 395 TFLOP/s on an H100, against 306 to 318 of FlashAttention-2 (arXiv 2407.08608).
    """
    major = int(compute_capability.split(".")[0])
    if major < 8:
        return None
    return "FLASH_ATTENTION" if major == 8 else "CUDNN_FLASH_ATTENTION"


def cuda_options(config: Path) -> dict[str, str]:
    """ONNX Runtime's options for CUDA in a config.pbtxt."""
    parsed = text_format.Parse(config.read_text(), model_config_pb2.ModelConfig())
    accelerators = parsed.optimization.execution_accelerators.gpu_execution_accelerator
    return {
        name: value
        for accelerator in accelerators
        if accelerator.name == "cuda"
        for name, value in accelerator.parameters.items()
    }


def printed(network: Path, batch: int, device: str, options: dict[str, str]) -> str:
    """What ONNX Runtime prints when it runs a network once."""
    command = [sys.executable, "-m", "bench.gpu.attention", str(network), str(batch), device, json.dumps(options)]
    result = subprocess.run(
        command, env=os.environ | {VARIABLE: "1"}, capture_output=True, text=True, errors="replace", timeout=SECONDS
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit status {result.returncode}")
    return result.stdout


def main(arguments: Sequence[str]) -> None:
    """Run a network once: path, batch, device, options as JSON."""
    path, batch, device, options = arguments
    runner(open_session(Path(path), device, json.loads(options)), int(batch), device)()


if __name__ == "__main__":
    main(sys.argv[1:])
