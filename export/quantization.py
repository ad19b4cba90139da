"""8-bit networks for the cpu profile, calibrated on clips of real videos."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import openvino
from numpy.typing import NDArray

from export.errors import ExportError
from video import IsolatedDecoder, Limits, VideoError

Clips = NDArray[np.uint8]
TIMEOUT_SECONDS = 600.0
"""Time limit for reading one calibration video."""


def read_clips(videos: Sequence[Path], shortest_edge: int) -> tuple[Clips, Clips]:
    """The motion and the camera clips of `videos`, as the server decodes them: (clips, 16, 224, 224, 3) uint8.

    Raises `ExportError` if a video cannot be read or NNCF is not installed.
    """
    _nncf()
    motion, camera = [], []
    with contextlib.closing(IsolatedDecoder(Limits(timeout_seconds=TIMEOUT_SECONDS))) as decoder:
        for path in videos:
            try:
                video = memoryview(path.read_bytes())
                plan = decoder.plan(video, {})
                frames, motion_order, camera_order = (
                    np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order")
                )
                segments, clips, *_ = decoder.decode(video, frames, motion_order, camera_order, shortest_edge)
            except (OSError, VideoError) as error:
                raise ExportError(f"cannot calibrate on {path}: {error}") from error
            motion.append(segments)
            camera.append(clips)
    return np.concatenate(motion), np.concatenate(camera)


def quantize(network: Path, clips: Clips, model: Path, weights: Path, *, transformer: bool = True) -> float:
    """Quantize the ONNX file `network` to 8 bits: an OpenVINO `model` (xml) and its `weights` (bin).

    `clips` calibrate the ranges of activations. `transformer` says whether the network is one: its attention is then
    kept more exact. Returns the largest difference of the output on the first clip.
    """
    nncf = _nncf()
    core = openvino.Core()
    with tempfile.TemporaryDirectory(dir=network.parent) as directory:
        # OpenVINO tells formats by the file name's extension.
        onnx = Path(directory, "network.onnx")
        onnx.symlink_to(network.resolve())
        with contextlib.redirect_stdout(io.StringIO()):  # progress bars
            quantized = nncf.quantize(
                core.read_model(onnx),
                nncf.Dataset([clip[None] for clip in clips]),
                model_type=nncf.ModelType.TRANSFORMER if transformer else None,
                subset_size=len(clips),
            )
        expected, found = (
            core.compile_model(each, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(clips[:1])[0]
            for each in (onnx, quantized)
        )
        saved = Path(directory, "model.xml")
        openvino.save_model(quantized, saved, compress_to_fp16=False)
        saved.replace(model)
        saved.with_suffix(".bin").replace(weights)
    return float(np.abs(expected - found).max())


def _nncf() -> ModuleType:
    try:
        import nncf
    except ImportError as error:
        raise ExportError("8-bit networks need NNCF: run `pip install --group int8` in the checkout") from error
    # Not `nncf.set_log_level`: it changes the handlers, too, and others share them.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
