"""Rates of matrix products and of the networks in ONNX Runtime, PyTorch and TensorRT."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from bench.gpu.sessions import PROVIDERS, clips, open_session, runner
from export.tensorrt_python import Engine

WARMUP_RUNS = 3
MATRIX_WIDTH = 8192


def seconds_a_run(run: Callable[[], object], seconds: float) -> float:
    """Mean seconds of `run`, repeated for `seconds` after some warm-up runs; `run` must wait for the device."""
    for _ in range(WARMUP_RUNS):
        run()
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        run()
        runs += 1
    return (time.perf_counter() - started) / runs


def matrix_rate(device: str, seconds: float, width: int = MATRIX_WIDTH) -> float:
    """FLOP/s of a product of two (width, width) fp16 matrices in PyTorch."""
    left, right = (torch.randn(width, width, device=device).half() for _ in range(2))

    def run() -> None:
        torch.matmul(left, right)
        _wait(device)

    return 2 * width**3 / seconds_a_run(run, seconds)


def onnxruntime_seconds(
    path: Path, batch: int, device: str, seconds: float, options: dict[str, str] | None = None
) -> float:
    """Seconds a batch of clips of an ONNX file, with the options of the device's provider."""
    return seconds_a_run(runner(open_session(path, device, options or {}), batch, device), seconds)


def torch_seconds(network: nn.Module, batch: int, device: str, seconds: float, *, compiled: bool) -> float:
    """Seconds a batch of clips of a PyTorch network, eager or `compiled` by `torch.compile`."""
    network = network.to(device).eval()
    call: Any = torch.compile(network, dynamic=False) if compiled else network
    value = torch.from_numpy(clips(batch)).to(device)

    def run() -> None:
        with torch.inference_mode():
            call(value)
        _wait(device)

    return seconds_a_run(run, seconds)


def onnxruntime_output(path: Path, batch: int) -> np.ndarray:
    """The output of an ONNX file for a batch of clips, on the CPU."""
    session = onnxruntime.InferenceSession(path, providers=[PROVIDERS["cpu"]])
    (output,) = session.run(None, {session.get_inputs()[0].name: clips(batch)})
    return output


def tensorrt_seconds(plan: Path, batch: int, seconds: float) -> tuple[float, np.ndarray]:
    """Seconds a batch of clips of a TensorRT plan, with input and output on the GPU, and the output."""
    engine = Engine(plan)
    (input_name,) = engine.input_names
    (output,) = engine.bind({input_name: torch.from_numpy(clips(batch))}).values()
    a_run = seconds_a_run(engine.run, seconds)
    return a_run, output.cpu().numpy()


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
