"""The export itself: two checkpoints in, three ONNX files, the labels and `weights.json` out."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from export.camera_network import load_camera
from export.errors import ExportError
from export.graph import largest_difference, write_graph
from export.motion_network import load_motion
from export.repository import MANIFEST, Transaction
from export.source import open_source

Report = Callable[[str], None]

QUANTIZED = ("motion_backbone", "camera_classifier")
INT8_FILES = ("model_int8.xml", "model_int8.bin")


def export_networks(
    motion: str,
    camera: str,
    model_repository: Path,
    report: Report = print,
    *,
    calibration_videos: Sequence[Path] = (),
) -> None:
    """Write the networks of two checkpoint sources into a model repository, all or nothing.

    `motion` and `camera` are a Hugging Face repository[@revision], a directory in that layout, or `random[:seed]`.
    With `calibration_videos`, 8-bit networks are written as well; without, those of an earlier export are removed.
    `report` is told, a line each, what is being done and how far each graph is from PyTorch. Raises `ExportError`;
    the repository is then as it was.
    """
    with Transaction(model_repository) as transaction:
        try:
            with ExitStack() as sources:
                # Both are read before either is exported, which takes a minute.
                report(f"motion: reading {motion}")
                motion_checkpoint = sources.enter_context(open_source(motion, "motion"))
                report(f"camera: reading {camera}")
                camera_checkpoint = sources.enter_context(open_source(camera, "camera"))
                _export_motion(motion_checkpoint.directory, transaction, report)
                labels, shortest_edge = _export_camera(camera_checkpoint.directory, transaction, report)
            if calibration_videos:
                _export_int8(calibration_videos, shortest_edge, transaction, report)
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


def _export_motion(directory: Path, transaction: Transaction, report: Report) -> None:
    backbone, head = load_motion(directory)
    clips = _example_clips()
    width = head.head.cls_token.shape[-1]
    embeddings = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    _export(backbone, "motion_backbone", clips, "MOTION_CLIPS", ["SEGMENT_EMBEDDINGS"], transaction, report)
    outputs = ["MOTION_SCORES", "VIDEO_EMBEDDING"]
    _export(head, "motion_head", embeddings, "SEGMENT_EMBEDDINGS", outputs, transaction, report)


def _export_camera(directory: Path, transaction: Transaction, report: Report) -> tuple[list[str], int]:
    """The labels, in the order of the outputs, and the shorter side that frames are resized to."""
    camera = load_camera(directory)
    outputs = ["CAMERA_PROBABILITIES"]
    _export(camera.network, "camera_classifier", _example_clips(), "CAMERA_CLIPS", outputs, transaction, report)
    return camera.labels, camera.shortest_edge


def _export_int8(videos: Sequence[Path], shortest_edge: int, transaction: Transaction, report: Report) -> None:
    from export.quantization import quantize, read_clips  # what it needs is not installed for every export

    for model, clips in zip(QUANTIZED, read_clips(videos, shortest_edge), strict=True):
        started = time.monotonic()
        report(f"{model}: in 8 bits, calibrated on {len(clips)} clips")
        network = transaction.staged(f"{model}/1/model.onnx")
        difference = quantize(network, clips, *(transaction.stage(f"{model}/1/{name}") for name in INT8_FILES))
        report(f"{model}: {difference:.1e} from float32 on the same clip, {time.monotonic() - started:.0f} s")


def _example_clips() -> torch.Tensor:
    """Two clips of noise, uint8 (2, 16, 224, 224, 3)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 16, 224, 224, 3), dtype=torch.uint8, generator=generator)


def _export(
    network: torch.nn.Module,
    model: str,
    example: torch.Tensor,
    input_name: str,
    output_names: list[str],
    transaction: Transaction,
    report: Report,
) -> None:
    started = time.monotonic()
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    report(f"{model}: writing {parameters:.1f} M parameters as ONNX")
    path = transaction.stage(f"{model}/1/model.onnx")
    write_graph(network, example, path, input_name=input_name, output_names=output_names)
    # One row, where the graph was traced with more: this also shows that the first axis is dynamic.
    difference = largest_difference(network, path, example[:1])
    report(f"{model}: {difference:.1e} from PyTorch on the same clip, {time.monotonic() - started:.0f} s")
