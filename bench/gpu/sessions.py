"""Networks in ONNX Runtime on a GPU or a CPU, without PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from video.clips import CLIP_SHAPE

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


def clips(batch: int) -> np.ndarray:
    """Clips of noise, uint8 (batch, 16, 224, 224, 3)."""
    return np.random.default_rng(0).integers(0, 256, (batch, *CLIP_SHAPE), np.uint8)


def open_session(path: Path, device: str, options: dict[str, str]) -> onnxruntime.InferenceSession:
    """An ONNX file on a device, with the options of the device's provider."""
    if device == "cuda":
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(path, providers=[(PROVIDERS[device], options)])
    if session.get_providers()[0] != PROVIDERS[device]:
        raise RuntimeError(f"ONNX Runtime cannot start {PROVIDERS[device]}: its log says why")
    return session


def runner(session: onnxruntime.InferenceSession, batch: int, device: str) -> Callable[[], None]:
    """What runs a network for a batch of clips, with input and output on the device, and waits for it."""
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(clips(batch), device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, device, 0)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run
