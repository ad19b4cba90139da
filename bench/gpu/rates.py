"""Rates of matrix products and of the networks in ONNX Runtime, PyTorch and TensorRT."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from video.clips import CLIP_SHAPE

WARMUP_RUNS = 3
PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
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


def clips(batch: int) -> np.ndarray:
    """Clips of noise, uint8 (batch, 16, 224, 224, 3)."""
    return np.random.default_rng(0).integers(0, 256, (batch, *CLIP_SHAPE), np.uint8)


def matrix_rate(device: str, seconds: float, width: int = MATRIX_WIDTH) -> float:
    """FLOP/s of a product of two (width, width) fp16 matrices in PyTorch."""
    left, right = (torch.randn(width, width, device=device).half() for _ in range(2))

    def run() -> None:
        torch.matmul(left, right)
        _wait(device)

    return 2 * width**3 / seconds_a_run(run, seconds)


def onnxruntime_seconds(path: Path, batch: int, device: str, seconds: float) -> float:
    """Seconds a batch of clips of an ONNX file, with input and output on the device."""
    options = onnxruntime.SessionOptions()
    if device == "cuda":
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(path, options, providers=[PROVIDERS[device]])
    if session.get_providers()[0] != PROVIDERS[device]:
        raise RuntimeError(f"ONNX Runtime cannot start {PROVIDERS[device]}: its log says why")
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(clips(batch), device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, device, 0)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return seconds_a_run(run, seconds)


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
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise RuntimeError(f"TensorRT cannot read {plan}")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    (input_name,) = (name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT)
    value = torch.from_numpy(clips(batch)).cuda()
    context.set_input_shape(input_name, tuple(value.shape))
    tensors = {
        name: value if name == input_name else torch.empty(tuple(context.get_tensor_shape(name)), device="cuda")
        for name in names
    }
    for name, tensor in tensors.items():
        context.set_tensor_address(name, tensor.data_ptr())
    stream = torch.cuda.Stream()

    def run() -> None:
        context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()

    a_run = seconds_a_run(run, seconds)
    (output,) = (tensor for name, tensor in tensors.items() if name != input_name)
    return a_run, output.cpu().numpy()


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
