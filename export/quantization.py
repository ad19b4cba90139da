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
from video import InvalidVideo, Parameters, sample
from video.clips import CLIP_FRAMES, FRAME_SIZE
from video.container import open_video, read_frame_table
from video.decoding import decode

Clips = NDArray[np.uint8]


def read_clips(videos: Sequence[Path], shortest_edge: int) -> tuple[Clips, Clips]:
    """The motion and the camera clips of `videos`, as the server would make them: (clips, 16, 224, 224, 3) uint8.

    Raises `ExportError` where one cannot be read.
    """
    motion, camera = [], []
    for path in videos:
        try:
            with path.open("rb") as video:
                with open_video(video) as (container, stream):
                    table = read_frame_table(container, stream)
                sampling = sample(table.timestamps, table.info.duration_seconds, Parameters())
                orders = sampling.motion_order, sampling.camera_order
                frames = np.empty((sum(map(len, orders)), FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
                decode(video, sampling.frame_indices, *orders, shortest_edge, frames)
        except (OSError, InvalidVideo) as error:
            raise ExportError(f"cannot calibrate on {path}: {error}") from error
        clips = frames.reshape(-1, CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3)
        segments = len(sampling.motion_order) // CLIP_FRAMES
        motion.append(clips[:segments])
        camera.append(clips[segments:])
    return np.concatenate(motion), np.concatenate(camera)


def quantize(network: Path, clips: Clips, model: Path, weights: Path) -> float:
    """Write the ONNX file `network` in 8 bits: an OpenVINO `model` and its `weights`.

    `clips` show what values occur inside. Returns the largest difference of any output on the first of them.
    """
    nncf = _nncf()
    core = openvino.Core()
    with tempfile.TemporaryDirectory(dir=network.parent) as directory:
        # OpenVINO goes by the ends of names.
        onnx = Path(directory, "network.onnx")
        onnx.symlink_to(network)
        with contextlib.redirect_stdout(io.StringIO()):  # progress bars
            quantized = nncf.quantize(
                core.read_model(onnx),
                nncf.Dataset([clip[None] for clip in clips]),
                model_type=nncf.ModelType.TRANSFORMER,
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
        raise ExportError("8-bit networks need NNCF: pip install 'video-motion[int8]'") from error
    nncf.set_log_level(logging.ERROR)
    return nncf
