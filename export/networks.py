"""The export itself: two checkpoints in, the networks of a target, the labels and `weights.json` out."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from export.camera_network import CameraCheckpoint, load_camera
from export.errors import ExportError
from export.exporter import Exporter
from export.motion_network import load_motion
from export.plans import Plans
from export.repository import MANIFEST, Transaction
from export.source import open_source
from export.targets import DEFAULT_TARGET, includes
from video.clips import CLIP_FRAMES, FRAME_SIZE

if TYPE_CHECKING:
    from export.quantization import Clips

Report = Callable[[str], None]

QUANTIZED = ("motion_backbone", "camera_classifier")
INT8_FILES = ("model_int8.xml", "model_int8.bin")


def export_networks(
    motion: str,
    camera: str,
    model_repository: Path,
    report: Report = print,
    *,
    target: str = DEFAULT_TARGET,
    calibration_videos: Sequence[Path] = (),
) -> None:
    """Write the networks of two checkpoint sources into a model repository, all or nothing.

    `motion` and `camera` are a Hugging Face repository[@revision], a directory in that layout, `demo`, `random[:seed]`.
    `target` is one of `export.targets.TARGETS`, each of which includes those before it. With `calibration_videos`,
    8-bit networks are written as well. What an earlier export wrote and this one does not is removed. `report` is told,
    a line each, what is being done and how far each graph is from PyTorch. Raises `ExportError`; the repository is then
    as it was.
    """
    with Transaction(model_repository) as transaction:
        try:
            # First, for there may be nothing that builds plans, and the rest takes minutes.
            plans = Plans(transaction, report) if includes(target, "tensorrt") else None
            exporter = Exporter(transaction, report, half=includes(target, "gpu"), plans=plans)
            with ExitStack() as sources:
                # Both are read before either is exported.
                report(f"motion: reading {motion}")
                motion_checkpoint = sources.enter_context(open_source(motion, "motion"))
                report(f"camera: reading {camera}")
                camera_checkpoint = sources.enter_context(open_source(camera, "camera"))
                classifier = load_camera(camera_checkpoint.directory)
                labels, shortest_edge = classifier.labels, classifier.shortest_edge
                # So are the videos, and a wrong path costs seconds.
                clips = _read_clips(calibration_videos, shortest_edge) if calibration_videos else ()
                _export_motion(motion_checkpoint.directory, exporter)
                _export_camera(classifier, exporter)
            if clips:
                _export_int8(clips, transaction, report)
            else:
                for model in QUANTIZED:
                    for name in INT8_FILES:
                        transaction.remove(f"{model}/1/{name}")
            transaction.stage_text("camera_classifier/labels.txt", "".join(f"{label}\n" for label in labels))
            # weights.json goes last: it is what says that the other files belong together.
            transaction.stage_json(
                MANIFEST,
                {
                    "motion": motion_checkpoint.name,
                    "camera": camera_checkpoint.name,
                    "labels": labels,
                    "shortest_edge": shortest_edge,
                },
            )
            transaction.commit()
        except OSError as error:
            where = error.filename or model_repository
            raise ExportError(f"cannot write {where}: {error.strerror or error}") from error
    report(f"{model_repository} is ready to be served")


def _export_motion(directory: Path, exporter: Exporter) -> None:
    backbone, head = load_motion(directory)
    width = head.head.cls_token.shape[-1]
    embeddings = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    exporter.write(backbone, "motion_backbone", "MOTION_CLIPS", ["SEGMENT_EMBEDDINGS"], _example_clips())
    exporter.write(head, "motion_head", "SEGMENT_EMBEDDINGS", ["MOTION_SCORES", "VIDEO_EMBEDDING"], embeddings)


def _export_camera(classifier: CameraCheckpoint, exporter: Exporter) -> None:
    exporter.write(classifier.network, "camera_classifier", "CAMERA_CLIPS", ["CAMERA_PROBABILITIES"], _example_clips())


def _read_clips(videos: Sequence[Path], shortest_edge: int) -> "tuple[Clips, Clips]":
    from export.quantization import read_clips  # what it needs is not installed for every export

    return read_clips(videos, shortest_edge)


def _export_int8(clips: "Sequence[Clips]", transaction: Transaction, report: Report) -> None:
    from export.quantization import quantize

    for model, shown in zip(QUANTIZED, clips, strict=True):
        started = time.monotonic()
        report(f"{model}: in 8 bits, calibrated on {len(shown)} clips")
        network = transaction.staged(f"{model}/1/model.onnx")
        difference = quantize(network, shown, *(transaction.stage(f"{model}/1/{name}") for name in INT8_FILES))
        report(f"{model}: {difference:.1e} from float32 on the same clip, {time.monotonic() - started:.0f} s")


def _example_clips() -> torch.Tensor:
    """Two clips of noise, uint8 (2, 16, 224, 224, 3)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3), dtype=torch.uint8, generator=generator)
