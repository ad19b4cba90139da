"""The export: reads checkpoints, writes their networks for a target, their labels, and `weights.json`."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from export.autoencoder import Autoencoder
from export.camera_network import CameraCheckpoint, load_camera
from export.ensemble import ensemble_files
from export.errors import ExportError
from export.exporter import Exporter
from export.heads import Head
from export.manifest import COMPANIONS, Manifest, check_manifest, read_manifest, remove_network
from export.motion_network import load_motion
from export.optional import OPTIONAL, OptionalNetwork, noise
from export.plans import Plans
from export.repository import MANIFEST, Transaction
from export.source import Checkpoint, open_source
from export.targets import DEFAULT_TARGET, includes
from export.text import Text
from video.clips import CLIP_SHAPE, FRAME_SIZE
from video.measures.latents import measure_names

if TYPE_CHECKING:
    from export.quantization import Clips

Report = Callable[[str], None]

KINDS: dict[str, Callable[[Checkpoint], OptionalNetwork]] = {**OPTIONAL, "autoencoder": Autoencoder}
QUANTIZED = ("motion_backbone", "camera_classifier")
INT8_FILES = ("model_int8.xml", "model_int8.bin")


def export_networks(
    motion: str | None,
    camera: str | None,
    model_repository: Path,
    report: Report = print,
    *,
    target: str = DEFAULT_TARGET,
    calibration_videos: Sequence[Path] = (),
    frames: str | None = None,
    text: bool = False,
    actions: str | None = None,
    autoencoder: str | None = None,
    heads: Mapping[str, Path] | None = None,
    remove: Sequence[str] = (),
) -> None:
    """Write the networks of checkpoint sources into a model repository, all or nothing.

    `motion`, `camera`, `frames`, `actions` and `autoencoder` are a Hugging Face repository[@revision], a directory in
    that layout, `random[:seed]` or, of the first two, `demo`. Networks whose source is None stay as they are; `motion`
    and `camera` are both given or both None. With `text`, `frames` gives its text encoder as well. `heads` are
    directories of `python -m training.heads` by their names. `remove` names optional networks to take away. `target` is
    one of `export.targets.TARGETS`. With `calibration_videos`, 8-bit networks are written as well. Files of an earlier
    export of the same networks that this one does not write are removed. `report` gets progress lines, with each
    graph's difference from PyTorch. Raises `ExportError`; the repository is then unchanged.
    """
    if text and frames is None:
        raise ExportError("a text encoder comes with the image encoder of its checkpoint: give --frames SOURCE --text")
    with Transaction(model_repository) as transaction:
        try:
            # First: without TensorRT this fails at once, and the rest takes minutes.
            given = {"frames": frames, "actions": actions, "autoencoder": autoencoder}
            exports = motion is not None or any(given.values())  # heads have no plans
            plans = Plans(transaction, report) if exports and includes(target, "tensorrt") else None
            exporter = Exporter(transaction, report, fp16=includes(target, "gpu"), plans=plans)
            manifest = read_manifest(model_repository, needed=motion is None)
            removed = [remove_network(manifest, name) for name in remove]
            with ExitStack() as sources:

                def read(network: str, source: str) -> Checkpoint:
                    report(f"{network}: reading {source}")
                    files = "text" if network == "frames" and text else network
                    return sources.enter_context(open_source(source, files))

                # Read all before exporting any: errors then cost seconds.
                motion_checkpoint = camera_checkpoint = classifier = None
                if motion is not None and camera is not None:
                    motion_checkpoint, camera_checkpoint = read("motion", motion), read("camera", camera)
                    classifier = load_camera(camera_checkpoint.directory)
                    manifest |= {
                        "motion": motion_checkpoint.name,
                        "camera": camera_checkpoint.name,
                        "labels": classifier.labels,
                        "shortest_edge": classifier.shortest_edge,
                    }
                checkpoints = {key: read(key, source) for key, source in given.items() if source is not None}
                optional: list[OptionalNetwork] = [KINDS[key](each) for key, each in checkpoints.items()]
                optional += [Text(checkpoints["frames"])] if text else []
                optional += [Head(name, directory, report) for name, directory in (heads or {}).items()]
                for network in optional:
                    if network.model in removed:
                        raise ExportError(f"{network.key} is to be both exported and removed")
                    network.add_to(manifest)
                check_manifest(manifest, model_repository, removed)
                # The videos too, for the same reason.
                clips = _read_clips(calibration_videos, _shortest_edge(manifest)) if calibration_videos else None
                if motion_checkpoint is not None and classifier is not None:
                    _export_motion(motion_checkpoint.directory, exporter)
                    _export_camera(classifier, exporter)
                    lines = "".join(f"{label}\n" for label in classifier.labels)
                    transaction.stage_text("camera_classifier/labels.txt", lines)
                for network in optional:
                    network.write(exporter, transaction)
            quantized = QUANTIZED if motion is not None else ()
            _export_int8(clips, quantized, optional, transaction, report)
            for model in (name for each in removed for name in (each, COMPANIONS.get(each)) if name):
                transaction.remove_model(model)
                report(f"{model}: removed")
            if not missing_networks(manifest):
                manifest["metrics"] = list(measure_names(manifest))
                for name, content in ensemble_files(manifest).items():
                    transaction.stage_text(name, content)
            # weights.json comes last: it says that the other files belong together.
            transaction.stage_json(MANIFEST, manifest)
            transaction.commit()
        except OSError as error:
            where = error.filename or model_repository
            raise ExportError(f"cannot write {where}: {error.strerror or error}") from error
    if missing := missing_networks(manifest):
        report(f"{model_repository} cannot be served yet: it has no {' and no '.join(missing)} network")
    else:
        report(f"{model_repository} is ready to serve")


def missing_networks(manifest: Manifest) -> list[str]:
    """What no server can do without."""
    return [name for name in ("motion", "camera") if name not in manifest]


def _export_motion(directory: Path, exporter: Exporter) -> None:
    backbone, head = load_motion(directory)
    width = head.head.cls_token.shape[-1]
    embeddings = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    exporter.write(backbone, "motion_backbone", "MOTION_CLIPS", ["SEGMENT_EMBEDDINGS"], _example_clips())
    exporter.write(head, "motion_head", "SEGMENT_EMBEDDINGS", ["MOTION_SCORES", "VIDEO_EMBEDDING"], embeddings)


def _export_camera(classifier: CameraCheckpoint, exporter: Exporter) -> None:
    exporter.write(classifier.network, "camera_classifier", "CAMERA_CLIPS", ["CAMERA_PROBABILITIES"], _example_clips())


def _shortest_edge(manifest: Manifest) -> int:
    """To which the shorter side of calibration frames is resized: that of the classifiers, if there are any."""
    return manifest.get("shortest_edge") or manifest.get("actions", {}).get("shortest_edge", FRAME_SIZE)


def _read_clips(videos: Sequence[Path], shortest_edge: int) -> "tuple[Clips, Clips]":
    from export.quantization import read_clips  # OpenVINO and NNCF may not be installed

    return read_clips(videos, shortest_edge)


def _export_int8(
    clips: "tuple[Clips, Clips] | None",
    models: Sequence[str],
    optional: Sequence[OptionalNetwork],
    transaction: Transaction,
    report: Report,
) -> None:
    """Write 8-bit networks of `models` and of `optional`, or remove those of an earlier export if `clips` is None."""
    if clips is None:
        for model in (*models, *(network.model for network in optional)):
            for name in INT8_FILES:
                transaction.remove(f"{model}/1/{name}")
        return
    from export.quantization import quantize

    jobs = [(model, shown, True) for model, shown in zip(models, clips, strict=False)]
    jobs += [
        (network.model, network.calibration(clips[1]), network.has_attention)
        for network in optional
        if network.has_8_bits
    ]
    for model, shown, transformer in jobs:
        started = time.monotonic()
        report(f"{model}: quantizing to 8 bits, calibrated on {len(shown)} inputs")
        network = transaction.staged(f"{model}/1/model.onnx")
        files = [transaction.stage(f"{model}/1/{name}") for name in INT8_FILES]
        difference = quantize(network, shown, *files, transformer=transformer)
        report(
            f"{model}: 8 bits differ from float32 by {difference:.1e} on one input, {time.monotonic() - started:.0f} s"
        )


def _example_clips() -> torch.Tensor:
    """Two clips of noise, uint8 (2, 16, 224, 224, 3)."""
    return noise(2, *CLIP_SHAPE)
