"""The optional networks: image encoders of every kind, action classifiers, what an export does to a repository."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from transformers import VideoMAEForVideoClassification, VideoMAEImageProcessorPil

from export import ExportError, SourceUnavailable
from export.__main__ import main
from export.action_network import load_actions
from export.attention import AttentionForm
from export.exporter import Exporter
from export.frame_network import FrameCheckpoint, load_frames
from export.graph import write_graph
from export.networks import export_networks
from export.random_networks import write_actions_checkpoint, write_frames_checkpoint
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from export.repository import Transaction
from export.source import open_source
from fixtures.encoders import ENCODERS, LAYERS, VISION, embed_with_transformers, pictures, write_encoder
from tests.conftest import MODEL_REPOSITORY, copy_repository
from training.heads.kinds import KINDS
from training.heads.saved import HeadConfig, load_head, save_head
from video.frame_form import FrameForm

SIZES = ((60, 90), (97, 61), (54, 54), (200, 70), (40, 41))
Tensors = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each kind."""
    root = tmp_path_factory.mktemp("encoders")
    return {kind: write_encoder(kind, root / kind) for kind in ENCODERS}


@pytest.fixture(scope="module")
def actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny action classifier."""
    directory = tmp_path_factory.mktemp("actions")
    write_actions_checkpoint(directory, width=48, depth=1, heads=3, patch=56, labels=("jump", "run", "sit still"))
    return directory


@pytest.fixture(scope="module")
def exported(tiny_repository: Path, encoders: dict[str, Path], actions: Path, tmp_path_factory: Any) -> Path:
    """The tiny repository with an image encoder, for GPUs, too, and an action classifier."""
    repository = Path(shutil.copytree(tiny_repository, tmp_path_factory.mktemp("optional") / "model_repository"))
    export_networks(None, None, repository, lambda _: None, frames=str(encoders["clip"]))
    export_networks(None, None, repository, lambda _: None, actions=str(actions), target="cpu")
    return repository


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that write small files instead of graphs, which take seconds: for tests of what is where."""

    def write(self: Exporter, network: object, model: str, *_: object) -> None:
        self._transaction.stage_text(f"{model}/1/model.onnx", type(network).__name__)
        if self._fp16:
            self._transaction.stage_text(f"{model}/1/model_fp16.onnx", "fp16")
        else:
            self._transaction.remove(f"{model}/1/model_fp16.onnx")

    monkeypatch.setattr(Exporter, "write", write)


def run(path: Path, value: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: value})[0]


def state(repository: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in repository.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(repository)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def folders(repository: Path) -> set[str]:
    return {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_dir()}


def copy_with(directory: Path, target: Path, tensors: Tensors | None = None, **changes: Any) -> Path:
    """A copy of a checkpoint with more `tensors`, and `changes` of its JSON files (by their names without suffix)."""
    shutil.copytree(directory, target)
    if tensors is not None:
        save_file(load_file(directory / "model.safetensors") | tensors, target / "model.safetensors", {"format": "pt"})
    for name, change in changes.items():
        path = target / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return target


def without(directory: Path, target: Path, part: str) -> Path:
    """A copy of a checkpoint without the tensors whose names contain `part`."""
    shutil.copytree(directory, target)
    tensors = load_file(directory / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if part not in name}
    assert len(kept) < len(tensors)
    save_file(kept, target / "model.safetensors", {"format": "pt"})
    return target


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_an_encoder_answers_as_transformers_does(kind: str, encoders: dict[str, Path]) -> None:
    """On frames prepared as `weights.json` says, against frames that transformers' own processor prepared."""
    loaded = load_frames(encoders[kind])
    frames, prepared = prepared_frames(loaded)
    assert prepared.shape == (len(SIZES), *loaded.preprocessing.frame_size, 3)
    with torch.inference_mode():
        found = loaded.network(torch.from_numpy(prepared)).numpy()
    expected = embed_with_transformers(encoders[kind], frames)
    assert found.shape == expected.shape == (len(SIZES), loaded.dimensions)
    assert_close(found, expected)
    # The comparison sees a difference of frames: embeddings of different ones are farther apart.
    assert np.abs(np.diff(expected, axis=0)).max() > 1e-2 * np.abs(expected).max()


def test_an_exported_encoder_answers_as_transformers_does(exported: Path, encoders: dict[str, Path]) -> None:
    frames, prepared = prepared_frames(load_frames(encoders["clip"]))
    expected = embed_with_transformers(encoders["clip"], frames)
    directory = exported / "frame_encoder" / "1"
    assert_close(run(directory / "model.onnx", prepared), expected)
    fp16 = run(directory / "model_fp16.onnx", prepared)
    assert_close(fp16, expected, 0.02)
    assert np.abs(fp16 - expected).max() > 1e-6  # as small if it were float32
    check_fp16(directory / "model_fp16.onnx", LAYERS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(ENCODERS))
def test_both_graphs_of_every_encoder_answer_as_transformers_does(
    kind: str, encoders: dict[str, Path], tmp_path: Path
) -> None:
    loaded = load_frames(encoders[kind])
    frames, prepared = prepared_frames(loaded)
    expected = embed_with_transformers(encoders[kind], frames)
    example = torch.from_numpy(prepared[:2])
    names: dict[str, Any] = {"input_name": "FRAME_CLIPS", "output_names": ["FRAME_EMBEDDINGS"]}
    write_graph(loaded.network, example, tmp_path / "m.onnx", **names)
    assert_close(run(tmp_path / "m.onnx", prepared), expected)
    loaded.network.to_fp16()
    layers = loaded.network.use_attention(AttentionForm.ONNX_RUNTIME)
    assert layers == (0 if kind == "resnet" else LAYERS)
    write_graph(loaded.network, example, tmp_path / "m_fp16.onnx", **names)
    assert_close(run(tmp_path / "m_fp16.onnx", prepared), expected, 0.02)
    check_fp16(tmp_path / "m_fp16.onnx", layers)


def prepared_frames(loaded: FrameCheckpoint) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Frames of several sizes, as decoded and as the encoder gets them."""
    frames = pictures(*SIZES)
    form = FrameForm.of(loaded.preprocessing.content())
    return frames, np.stack([form.prepare(frame) for frame in frames])


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = 1e-3) -> None:
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def check_fp16(path: Path, layers: int) -> None:
    """Fused attention, fp16 weights, float32 answers."""
    graph = onnx.load(path).graph
    assert sum(node.op_type == "MultiHeadAttention" for node in graph.node) == layers
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    weights = [tensor for tensor in graph.initializer if len(tensor.dims) > 1]
    assert sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in weights) > len(weights) / 2


def test_an_exported_action_classifier_answers_as_transformers_does(actions: Path, exported: Path) -> None:
    processor = VideoMAEImageProcessorPil.from_pretrained(actions)
    model = VideoMAEForVideoClassification.from_pretrained(actions).eval()
    frames = pictures(*[(224, 300)] * 16)
    with torch.inference_mode():
        logits = model(processor(frames, return_tensors="pt")["pixel_values"]).logits
    expected = logits.softmax(-1).numpy()
    clip = np.stack([frame[:, 38:262] for frame in frames])[None]
    found = run(exported / "action_classifier" / "1" / "model.onnx", clip)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert (found > 0.02).all()  # a sigmoid of the same logits would not add up to 1


def test_weights_json_names_the_networks_their_labels_and_how_frames_are_prepared(
    exported: Path, encoders: dict[str, Path], actions: Path, tiny_repository: Path
) -> None:
    manifest = json.loads((exported / "weights.json").read_text())
    before = json.loads((tiny_repository / "weights.json").read_text())
    assert {name: manifest[name] for name in before} == before
    assert manifest["frames"] == {
        "model": "frame_encoder",
        "source": f"directory {encoders['clip']}",
        "architecture": "clip",
        "dimensions": 24,
        "height": 32,
        "width": 32,
        "preprocessing": {
            "resize": {"shortest_edge": 40},
            "resample": "bicubic",
            "antialias": True,
            "crop": {"height": 32, "width": 32},
        },
    }
    assert manifest["actions"] == {
        "model": "action_classifier",
        "source": f"directory {actions}",
        "labels": ["jump", "run", "sit still"],
        "shortest_edge": 224,
    }
    assert (exported / "action_classifier" / "labels.txt").read_text() == "jump\nrun\nsit still\n"


@pytest.mark.parametrize(
    ("kind", "resize", "resample", "crop"),
    [
        ("siglip", {"height": 32, "width": 32}, "bicubic", None),
        ("vit", {"height": 32, "width": 32}, "bilinear", None),
        ("dinov2", {"shortest_edge": 48}, "bicubic", {"height": 42, "width": 42}),
        ("resnet", {"shortest_edge": 54}, "bicubic", {"height": 48, "width": 48}),
    ],
)
def test_preprocessing_is_the_checkpoints(
    kind: str, resize: object, resample: str, crop: object, encoders: dict[str, Path]
) -> None:
    content = load_frames(encoders[kind]).preprocessing.content()
    assert content == {"resize": resize, "resample": resample, "antialias": True, "crop": crop}


def test_the_older_form_of_a_preprocessor_config_is_read(encoders: dict[str, Path], tmp_path: Path) -> None:
    """As published with CLIP and ResNet: sizes are numbers, and the processor is called a feature extractor."""
    for kind, older, resize in (
        ("clip", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 32, "resample": 3}, 40),
        ("resnet", {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 48, "crop_pct": 0.875}, 54),
    ):
        directory = Path(shutil.copytree(encoders[kind], tmp_path / kind))
        (directory / "preprocessor_config.json").write_text(json.dumps(older))
        assert load_frames(directory).preprocessing.resize == resize


REWRITTEN = ("weights.json", "video_signals", "embedding_copy")
"""What every export writes."""


def test_an_export_of_optional_networks_leaves_the_others_as_they_are(exported: Path, tiny_repository: Path) -> None:
    names = {path for path in state(tiny_repository) if path not in ("weights.json", "video_signals/config.pbtxt")}
    for name in names:
        assert (exported / name).read_bytes() == (tiny_repository / name).read_bytes(), name
    written = ("weights.json", "video_signals/config.pbtxt")
    added = {name for name in state(exported) if name not in names and name not in written}
    assert added == {
        *(f"frame_encoder/{name}" for name in ("config.pbtxt", "configs/cpu.pbtxt", "configs/tensorrt.pbtxt")),
        *(f"action_classifier/{name}" for name in ("config.pbtxt", "configs/cpu.pbtxt", "configs/tensorrt.pbtxt")),
        *(f"frame_encoder/1/{name}" for name in ("model.onnx", "model_fp16.onnx")),
        *(f"action_classifier/{name}" for name in ("1/model.onnx", "labels.txt")),
    }  # fmt: skip


def test_git_ignores_what_an_export_of_optional_networks_writes(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model_repository")
    shutil.copy(MODEL_REPOSITORY.parent / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "model_repository/video_motion/config.pbtxt" in seen
    assert [name for name in seen if "frame_encoder" in name or "action_classifier" in name] == []


@pytest.mark.usefixtures("without_graphs")
def test_networks_are_replaced_added_and_removed_one_by_one(
    exported: Path, encoders: dict[str, Path], actions: Path, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    before = state(repository)
    export_networks(None, None, repository, lambda _: None, frames=str(encoders["vit"]), target="cpu")
    after = state(repository)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {name.split("/")[0] for name in changed} == {"frame_encoder", *REWRITTEN}
    assert not (repository / "frame_encoder" / "1" / "model_fp16.onnx").exists()  # of the earlier export
    assert json.loads((repository / "weights.json").read_text())["frames"]["architecture"] == "vit"

    lines: list[str] = []
    export_networks(None, None, repository, lines.append, remove=["frames"])
    assert lines == ["frame_encoder: removed", f"{repository} is ready to serve"]
    assert not (repository / "frame_encoder").exists()
    assert not list(repository.rglob("*.partial"))
    manifest = json.loads((repository / "weights.json").read_text())
    assert "frames" not in manifest
    assert "actions" in manifest

    with pytest.raises(ExportError, match="cannot remove frames: the optional networks are actions"):
        export_networks(None, None, repository, lambda _: None, remove=["frames"])
    with pytest.raises(ExportError, match="motion cannot be removed: video_motion needs it"):
        export_networks(None, None, repository, lambda _: None, remove=["motion"])
    with pytest.raises(ExportError, match="actions is to be both exported and removed"):
        export_networks(None, None, repository, lambda _: None, actions=str(actions), remove=["action_classifier"])


def write_head_directory(directory: Path, encoder: str, *, on: str = "frames", width: int = 24) -> Path:
    """An untrained head over the embeddings of `encoder`."""
    torch.manual_seed(0)
    name, revision = HeadConfig.encoder_of(encoder)
    config = HeadConfig("linear", on, name, revision, 16, width, ("still", "pan"), multi_label=False)
    directory.mkdir()
    save_head(KINDS["linear"](config.shape), config, directory)
    return directory


def test_a_head_is_exported_with_its_labels_and_its_encoder(
    exported: Path, encoders: dict[str, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    before = state(repository)
    encoder = f"directory {encoders['clip']}"
    directory = write_head_directory(tmp_path / "genre", encoder)
    export_networks(None, None, repository, lambda _: None, heads={"genre": directory})
    manifest = json.loads((repository / "weights.json").read_text())
    assert manifest["heads"] == {
        "genre": {
            "model": "head_genre",
            "source": f"directory {directory}",
            "kind": "linear",
            "on": "frames",
            "encoder": encoder,
            "dimensions": 24,
            "labels": ["still", "pan"],
            "multi_label": False,
        }
    }
    assert (repository / "head_genre" / "labels.txt").read_text() == "still\npan\n"
    changed = {name for name, there in state(repository).items() if before.get(name) != there}
    assert {name.split("/")[0] for name in changed} == {"head_genre", *REWRITTEN}
    session = onnxruntime.InferenceSession(repository / "head_genre" / "1" / "model.onnx")
    embeddings = torch.randn(5, 24)
    (found,) = session.run(None, {"EMBEDDINGS": embeddings.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, load_head(directory)(embeddings).numpy(), atol=1e-5)


@pytest.mark.usefixtures("without_graphs")
def test_a_head_is_refused_over_another_encoder_now_or_later(
    exported: Path,
    encoders: dict[str, Path],
    tiny_checkpoints: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("export.heads.write_head", lambda _, path: path.write_text("head") * 0.0)
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    encoder, motion = f"directory {encoders['clip']}", f"directory {tiny_checkpoints[0]}"
    good = write_head_directory(tmp_path / "good", encoder)
    other = write_head_directory(tmp_path / "other", "openai/clip-vit-base-patch32@abc")
    segments = write_head_directory(tmp_path / "segments", motion, on="segments", width=48)

    def export(**options: Any) -> None:
        export_networks(None, None, repository, lambda _: None, **options)

    with pytest.raises(
        ExportError, match=r"head_x learned from embeddings by openai/clip.*@abc, not by directory .*clip"
    ):
        export(heads={"x": other})
    with pytest.raises(ExportError, match=r"head_x needs the image encoder \(--frames\), which is not there"):
        export(heads={"x": good}, remove=["frames"])
    export(heads={"x": good, "moves": segments})
    before = state(repository)
    # Nor does a head stay when its encoder changes.
    with pytest.raises(ExportError, match="head_x learned from embeddings by"):
        export(frames=str(encoders["vit"]))
    write_motion_checkpoint(tmp_path / "motion", width=48, depth=1, head_depth=1, patch=56)
    with pytest.raises(ExportError, match="head_moves learned from embeddings by"):
        export_networks(str(tmp_path / "motion"), "demo", repository, lambda _: None)
    with pytest.raises(ExportError, match="head_x needs the image encoder"):
        export(remove=["frames"])
    assert state(repository) == before
    export(remove=["frames", "head_x"])
    manifest = json.loads((repository / "weights.json").read_text())
    assert list(manifest["heads"]) == ["moves"]
    export(remove=["head_moves"])
    assert "heads" not in json.loads((repository / "weights.json").read_text())
    assert not list(repository.glob("head_*"))


@pytest.mark.parametrize("name", ["Genre", "a b", "../x", "1st", "x" * 41])
def test_a_name_that_no_head_can_have_is_refused(name: str, tiny_repository: Path, tmp_path: Path) -> None:
    before = state(tiny_repository)
    with pytest.raises(ExportError, match="cannot be the name of a head, which has a small letter, and up to 39"):
        export_networks(None, None, tiny_repository, lambda _: None, heads={name: tmp_path})
    assert state(tiny_repository) == before


@pytest.mark.parametrize("argument", ["genre", "=x", "genre="])
def test_a_head_on_the_command_line_has_a_name_and_a_directory(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--head", argument])
    assert f"'{argument}' is not NAME=DIRECTORY" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--head", "a=x", "--head", "a=y"])
    assert "two heads have the same name" in capsys.readouterr().err


@pytest.mark.usefixtures("without_graphs")
def test_the_first_two_networks_can_be_exported_again_beside_the_others(
    exported: Path, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    before, optional = state(repository), json.loads((repository / "weights.json").read_text())
    write_camera_checkpoint(tmp_path / "camera", width=48, depth=1, heads=3, labels=("left", "right"))
    motion, camera = str(tiny_checkpoints[0]), str(tmp_path / "camera")
    export_networks(motion, camera, repository, lambda _: None, target="cpu")
    manifest = json.loads((repository / "weights.json").read_text())
    assert manifest["labels"] == ["left", "right"]
    assert (manifest["frames"], manifest["actions"]) == (optional["frames"], optional["actions"])
    after = state(repository)
    assert {name: after[name] for name in before if name.startswith(("frame", "action"))} == {
        name: before[name] for name in before if name.startswith(("frame", "action"))
    }


@pytest.mark.usefixtures("without_graphs")
def test_optional_networks_may_come_first_and_the_export_says_what_is_still_missing(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    lines: list[str] = []
    export_networks(None, None, repository, lines.append, frames=str(encoders["resnet"]), target="cpu")
    assert lines[-1] == f"{repository} cannot be served yet: it has no motion and no camera network"


@pytest.mark.parametrize("failing", ["frame_encoder/1/model.onnx", "action_classifier/labels.txt", "weights.json"])
def test_a_failed_rename_leaves_no_new_model_behind_and_brings_a_removed_one_back(
    failing: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    shutil.rmtree(repository / "frame_encoder")
    before, directories = state(repository), folders(repository)
    plain = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == repository / failing and "previous" not in self.name:
            raise OSError("rename failed")
        return plain(self, target)

    with Transaction(repository) as transaction:
        for name in ("frame_encoder/config.pbtxt", "frame_encoder/1/model.onnx", "weights.json"):
            transaction.stage_text(name, "new")
        if failing.startswith("action"):
            transaction.stage_text(failing, "new")
        else:
            transaction.remove_model("action_classifier")
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="rename failed"):
            transaction.commit()
    assert folders(repository) == directories
    assert state(repository).keys() == before.keys()
    for name in before:
        assert (repository / name).read_bytes() == (exported / name).read_bytes()


def test_a_model_appears_only_when_it_is_complete(
    tiny_repository: Path, encoders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton would try to load a folder with half a model, for instance after the export was killed."""
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    models = {path.name for path in repository.iterdir()}
    seen: list[set[str]] = []

    def stop(*arguments: object, **options: object) -> None:
        seen.append({path.name for path in repository.iterdir()})
        raise OSError(28, "No space left on device", "frame_encoder")

    monkeypatch.setattr("export.exporter.write_graph", stop)
    with pytest.raises(ExportError, match="No space left on device"):
        export_networks(None, None, repository, lambda _: None, frames=str(encoders["resnet"]), target="cpu")
    assert seen == [models]
    assert {path.name for path in repository.iterdir()} == models
    # What a killed export left is removed by the next one.
    leftover = repository / "video_motion" / ".models.partial" / "frame_encoder" / "1"
    leftover.mkdir(parents=True)
    with Transaction(repository):
        assert not leftover.exists()


@pytest.mark.parametrize("kind", ["clip", "dinov2", "resnet"])
def test_a_tensor_missing_or_left_over_is_named(kind: str, encoders: dict[str, Path], tmp_path: Path) -> None:
    names = sorted(load_file(encoders[kind] / "model.safetensors"))
    # A text tower counts as well: a checkpoint is whole or it is refused.
    part = {"clip": "text_model.final_layer_norm.bias", "dinov2": names[0], "resnet": "running_var"}[kind]
    with pytest.raises(ExportError, match=r"frames checkpoint: tensor .* is missing"):
        load_frames(without(encoders[kind], tmp_path / "without", part))
    surplus = copy_with(encoders[kind], tmp_path / "surplus", {"surplus.weight": np.ones(3, np.float32)})
    with pytest.raises(ExportError, match=r"frames checkpoint: tensor surplus\.weight is left over"):
        load_frames(surplus)
    shape = {names[-1]: np.ones((7, 7, 7), np.float32)}
    with pytest.raises(ExportError, match=r"frames checkpoint: tensor .* has another shape than config.json says"):
        load_frames(copy_with(encoders[kind], tmp_path / "shape", shape))


def test_counters_in_a_checkpoint_are_no_weights(encoders: dict[str, Path], tmp_path: Path) -> None:
    """Older checkpoints of CLIP store their position numbers, and those of ResNet may lack the length of training."""
    numbers = np.arange(17)[None]
    load_frames(copy_with(encoders["clip"], tmp_path / "clip", {"vision_model.embeddings.position_ids": numbers}))
    load_frames(without(encoders["resnet"], tmp_path / "resnet", "num_batches_tracked"))


def test_a_vit_without_the_pooler_is_refused(encoders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would make one up. Published ViTs with a classifier of ImageNet have none."""
    with pytest.raises(ExportError, match=r"tensor pooler\.dense\.bias, pooler\.dense\.weight is missing"):
        load_frames(without(encoders["vit"], tmp_path / "vit", "pooler"))


@pytest.mark.parametrize(
    ("kind", "file", "changes", "message"),
    [
        ("vit", "config", {"model_type": "swin"}, "supported are clip, siglip, dinov2, vit, resnet"),
        ("vit", "config", {"num_attention_heads": 5}, "has another shape than config.json says"),
        ("vit", "config", {"hidden_act": "shout"}, "transformers cannot load it: "),
        ("siglip", "config", {"vision_config": VISION | {"vision_use_head": False}}, "is left over"),
        ("vit", "preprocessor_config", {"size": {"height": 48, "width": 48}}, "48 x 48, config.json says"),
        ("vit", "preprocessor_config", {"resample": 1}, "resample 1, not 2 (bilinear) or 3 (bicubic)"),
        ("vit", "preprocessor_config", {"do_resize": False}, "do_resize False, not True"),
        ("vit", "preprocessor_config", {"image_std": [0.5, 0, 0.5]}, "image_std (0.5, 0, 0.5), not three numbers"),
        ("clip", "preprocessor_config", {"do_center_crop": False}, "do_center_crop False, not True"),
        ("clip", "preprocessor_config", {"size": {"shortest_edge": 20}}, "not at most 20 x 20"),
        ("clip", "preprocessor_config", {"size": {"longest_edge": 40, "shortest_edge": 30}}, "not height and"),
        ("clip", "preprocessor_config", {"image_processor_type": "GLPNImageProcessor"}, "supported are those of"),
        ("resnet", "preprocessor_config", {"do_center_crop": True}, "crop_size None, not height and width"),
        ("resnet", "preprocessor_config", {"do_center_crop": True, "crop_size": 8}, "crops by crop_pct"),
    ],
)  # fmt: skip
def test_an_encoder_that_is_not_supported_is_refused(
    kind: str, file: str, changes: dict[str, object], message: str, encoders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as raised:
        load_frames(copy_with(encoders[kind], tmp_path / "changed", None, **{file: changes}))
    assert str(raised.value).startswith("frames checkpoint: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_classifier_of_several_labels_a_clip_is_no_action_classifier(actions: Path, tmp_path: Path) -> None:
    several = copy_with(actions, tmp_path / "several", config={"problem_type": "multi_label_classification"})
    with pytest.raises(ExportError, match="problem_type is 'multi_label_classification', not single"):
        load_actions(several)
    sizes = {"size": 256, "crop_size": 224}
    older = copy_with(actions, tmp_path / "older", config={"problem_type": None}, preprocessor_config=sizes)
    assert load_actions(older).shortest_edge == 256
    with pytest.raises(ExportError, match="actions checkpoint: num_frames is 8"):
        load_actions(copy_with(actions, tmp_path / "short", config={"num_frames": 8}))


def test_classifiers_that_want_other_clips_are_refused(tiny_repository: Path, actions: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    before = state(repository)
    larger = copy_with(actions, tmp_path / "larger", preprocessor_config={"size": {"shortest_edge": 256}})
    with pytest.raises(ExportError, match=r"get the same clips, but .* resized to 256 and 224 pixels"):
        export_networks(None, None, repository, lambda _: None, actions=str(larger))
    assert state(repository) == before


def test_a_model_or_a_manifest_that_is_not_understood_is_left_alone(
    tiny_repository: Path, actions: Path, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    (repository / "head_mine").mkdir()
    with pytest.raises(ExportError, match=r"has head_mine, which weights\.json does not name"):
        export_networks(None, None, repository, lambda _: None, actions=str(actions))
    (repository / "weights.json").write_text("{")
    with pytest.raises(ExportError, match=r"weights\.json is damaged: export the motion predictor and the camera"):
        export_networks(None, None, repository, lambda _: None, actions=str(actions))
    assert (repository / "weights.json").read_text() == "{"


def test_random_checkpoints_are_whole(tmp_path: Path) -> None:
    write_frames_checkpoint(tmp_path / "frames", seed=1, width=24, depth=1, heads=2, outputs=8)
    loaded = load_frames(tmp_path / "frames")
    assert (loaded.dimensions, loaded.preprocessing.frame_size) == (8, (224, 224))
    assert loaded.preprocessing.content()["resample"] == "bicubic"
    write_actions_checkpoint(tmp_path / "actions", seed=1, width=48, depth=1, heads=3)
    assert len(load_actions(tmp_path / "actions").labels) == 400


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "resnet"])
def test_8_bit_forms_are_written_on_request_and_removed_by_the_next_export(
    kind: str, encoders: dict[str, Path], actions: Path, reference_videos: dict[str, Path], tmp_path: Path
) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    sources: dict[str, Any] = {"frames": str(encoders[kind]), "actions": str(actions), "target": "cpu"}
    videos = [reference_videos["carphone_pristine"]]
    lines: list[str] = []
    export_networks(None, None, repository, lines.append, calibration_videos=videos, **sources)
    assert any(line.startswith("frame_encoder: 8 bits, no error is stated") for line in lines)
    written = {str(path.relative_to(repository)) for path in repository.rglob("model_int8.*")}
    models = ("frame_encoder", "action_classifier")
    assert written == {f"{model}/1/model_int8.{suffix}" for model in models for suffix in ("xml", "bin")}
    export_networks(None, None, repository, lambda _: None, **sources)
    assert not list(repository.rglob("model_int8.*"))


def test_there_is_no_demo_of_an_optional_network() -> None:
    with pytest.raises(SourceUnavailable, match="there is no demo network for frames"), open_source("demo", "frames"):
        pass


def test_safetensors_of_the_default_encoder_are_taken_from_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main branch of the default repository has only a pickle."""
    import huggingface_hub

    class Hub:
        def model_info(self, *_: object, revision: str, **__: object) -> Any:
            return type("Info", (), {"sha": {"main": "aaa", "refs/pr/15": "bbb"}[revision]})

    def download(repository: str, file: str, *, revision: str) -> str:
        if file == "model.safetensors" and revision == "aaa":
            raise huggingface_hub.errors.EntryNotFoundError("404: no model.safetensors")
        return f"/cache/{revision}/{file}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with open_source("openai/clip-vit-base-patch32", "frames") as checkpoint:
        assert checkpoint.name == "openai/clip-vit-base-patch32@bbb"
        assert checkpoint.directory == Path("/cache/bbb")
    with pytest.raises(SourceUnavailable, match="lacks a file"), open_source("other/clip", "frames"):
        pass


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("motion", "camera")),
        (["--camera", "random"], ("motion", "camera")),
        (["--frames"], ("frames",)),
        (["--actions", "--frames", "x"], ("frames", "actions")),
        (["--frames", "--motion", "demo"], ("motion", "camera", "frames")),
        (["--head", "genre=x"], ("heads",)),
        (["--remove", "frames", "--remove", "actions"], ("remove",)),
    ],
)
def test_the_command_line_exports_what_it_names(
    arguments: list[str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def record(motion: object, camera: object, repository: Path, report: object, **options: Any) -> None:
        calls.append({"motion": motion, "camera": camera} | options)

    monkeypatch.setattr("export.networks.export_networks", record)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(arguments) == 0
    (call,) = calls
    assert (
        tuple(name for name in ("motion", "camera", "frames", "actions", "heads", "remove") if call[name]) == expected
    )
    if "--frames" in arguments and "x" not in arguments:
        assert call["frames"] == "openai/clip-vit-base-patch32"
    if "--actions" in arguments:
        assert call["actions"] == "MCG-NJU/videomae-base-finetuned-kinetics"


def test_a_source_that_cannot_be_read_has_status_3_and_names_only_the_options_in_use(
    tiny_repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--frames", str(tmp_path), "--model-repository", str(repository)]) == 3
    errors = capsys.readouterr().err
    assert "has no config.json; nothing was changed" in errors
    assert errors.endswith(" -m export --frames DIRECTORY\n")
    assert "demo" not in errors
