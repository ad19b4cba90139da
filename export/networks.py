"""The export: reads checkpoints, writes their networks for a target, their labels, and `weights.json`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
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
    from export.calibration import VideoClips

Report = Callable[[str], None]

KINDS: dict[str, Callable[[Checkpoint], OptionalNetwork]] = {**OPTIONAL, "autoencoder": Autoencoder}
INT8 = "int8"
"""The key of `weights.json` with what is known of each 8-bit network, by model."""


def export_networks(
    motion: str | None,
    camera: str | None,
    model_repository: Path,
    report: Report = print,
    *,
    target: str = DEFAULT_TARGET,
    calibration_videos: Sequence[Path] = (),
    check_videos: Sequence[Path] = (),
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
    one of `export.targets.TARGETS`. With `calibration_videos`, 8-bit networks are written as well; their errors on
    `check_videos`, or on some of the others that are then held back, go into the manifest. Files of an earlier export
    of the same networks that this one does not write are removed. `report` gets progress lines, with each graph's
    difference from PyTorch. Raises `ExportError`; the repository is then unchanged.
    """
    if text and frames is None:
        raise ExportError("a text encoder comes with the image encoder of its checkpoint: give --frames SOURCE --text")
    with Transaction(model_repository) as transaction, TemporaryDirectory() as directory:
        to_quantize = Path(directory) if calibration_videos else None
        try:
            # First: without TensorRT this fails at once, and the rest takes minutes.
            given = {"frames": frames, "actions": actions, "autoencoder": autoencoder}
            exports = motion is not None or any(given.values())  # heads have no plans
            plans = Plans(transaction, report) if exports and includes(target, "tensorrt") else None
            fp16 = includes(target, "gpu")
            exporter = Exporter(transaction, report, fp16=fp16, plans=plans, to_quantize=to_quantize)
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
                clips = _read_clips(calibration_videos, check_videos, _shortest_edge(manifest), report)
                if motion_checkpoint is not None and classifier is not None:
                    _export_motion(motion_checkpoint.directory, exporter)
                    _export_camera(classifier, exporter)
                    lines = "".join(f"{label}\n" for label in classifier.labels)
                    transaction.stage_text("camera_classifier/labels.txt", lines)
                for network in optional:
                    network.write(exporter, transaction)
            _export_int8(clips, Path(directory), optional, manifest, transaction, report, has_motion=motion is not None)
            for model in removed:
                manifest.get(INT8, {}).pop(model, None)
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


def _read_clips(
    calibration: Sequence[Path], check: Sequence[Path], shortest_edge: int, report: Report
) -> "tuple[list[VideoClips], list[VideoClips]] | None":
    """The clips to calibrate on, and those to check on; None if nothing is to be quantized."""
    if check and not calibration:
        raise ExportError("videos to check 8-bit networks on need others to calibrate them on: give --int8 VIDEO")
    if not calibration:
        return None
    from export.calibration import divide, read_clips
    from export.quantization import require_nncf

    require_nncf()
    seen, unseen = divide(calibration, check)
    if unseen and not check:
        report(f"int8: {', '.join(map(str, unseen))} held back from calibration, for the check")
    return read_clips(seen, shortest_edge), read_clips(unseen, shortest_edge)


def _export_int8(
    clips: "tuple[list[VideoClips], list[VideoClips]] | None",
    graphs: Path,
    optional: Sequence[OptionalNetwork],
    manifest: Manifest,
    transaction: Transaction,
    report: Report,
    *,
    has_motion: bool,
) -> None:
    """Write the 8-bit forms of the networks that are exported, or remove earlier ones if `clips` is None.

    Those of networks with attention are made from MODEL.onnx in `graphs`.
    """
    entries = manifest.setdefault(INT8, {})
    models = ["motion_backbone", "camera_classifier"] if has_motion else []
    for model in [*models, *(network.model for network in optional)]:
        entries.pop(model, None)
        if clips is None:
            for suffix in ("xml", "bin"):
                transaction.remove(f"{model}/1/model_int8.{suffix}")
    if clips is not None:
        # Here, because OpenVINO and NNCF may not be installed.
        from export.int8 import Int8Export, Int8Network
        from export.int8_answers import Probabilities, Scores, read_network

        networks = []
        if has_motion:
            head = read_network(transaction.staged("motion_head/1/model.onnx"))
            networks = [
                Int8Network("motion_backbone", lambda video: video.motion, Scores(head), transformer=True),
                Int8Network("camera_classifier", lambda video: video.camera, Probabilities(), transformer=True),
            ]
        networks += [quantized for network in optional if (quantized := network.int8())]
        exporter = Int8Export(transaction, graphs, report, *clips)
        for network in networks:
            entries[network.model] = exporter.write(network)
    if not entries:
        del manifest[INT8]


def _example_clips() -> torch.Tensor:
    """Two clips of noise, uint8 (2, 16, 224, 224, 3)."""
    return noise(2, *CLIP_SHAPE)
