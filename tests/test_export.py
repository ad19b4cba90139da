"""The export: every tensor of a checkpoint is used, and either all files are written or none."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from transformers import VideoMAEForVideoClassification

from export import ExportError, SourceUnavailable
from export.__main__ import command_as_typed, main
from export.camera_network import load_camera
from export.motion_network import load_motion, sine_cosine_positions
from export.networks import export_networks
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from export.repository import Transaction
from export.source import open_source
from tests.conftest import copy_repository

Tensors = dict[str, NDArray[Any]]
Q_BIAS = "videomae.encoder.layer.0.attention.attention.q_bias"


def copy_with(directory: Path, target: Path, change: Callable[[Tensors], object]) -> Path:
    """A copy of a checkpoint directory whose tensors `change` has changed in place."""
    shutil.copytree(directory, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors")
    return target


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def snapshot(repository: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in repository.rglob("*") if path.is_file()]
    return {str(path.relative_to(repository)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def run_export(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "export", *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_networks_match_pytorch_on_other_batches_than_the_exported_one(
    tiny_repository: Path, tiny_checkpoints: tuple[Path, Path]
) -> None:
    motion, camera = tiny_checkpoints
    backbone, head = load_motion(motion)
    classifier = load_camera(camera).network
    clips = torch.randint(0, 256, (5, 16, 224, 224, 3), dtype=torch.uint8)
    for model, network, value in (
        ("motion_backbone", backbone, clips),
        ("camera_classifier", classifier, clips[:3]),
        ("motion_head", head, torch.randn(16, 48)),
        ("motion_head", head, torch.randn(1, 48)),
    ):
        session = onnxruntime.InferenceSession(tiny_repository / model / "1" / "model.onnx")
        found = session.run(None, {session.get_inputs()[0].name: value.numpy()})
        with torch.inference_mode():
            expected = network(value)
        for ours, theirs in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_the_published_names_of_biases_reach_the_classifier(tiny_checkpoints: tuple[Path, Path]) -> None:
    """They are stored as q_bias and v_bias, which some releases of transformers drop without an error."""
    stored = load_file(tiny_checkpoints[1] / "model.safetensors")
    network = load_camera(tiny_checkpoints[1]).network.network
    assert isinstance(network, VideoMAEForVideoClassification)
    loaded = [value.detach().numpy() for name, value in network.named_parameters() if "bias" in name]
    for name in (Q_BIAS, Q_BIAS.replace("q_bias", "v_bias")):
        assert any(value.shape == stored[name].shape and np.array_equal(value, stored[name]) for value in loaded), name


@pytest.mark.parametrize("part", ["q_bias", "v_bias", "proj.weight", "norm2.bias", "fc1.weight"])
def test_every_kind_of_motion_tensor_changes_the_embedding(
    part: str, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    clip = torch.randint(0, 256, (1, 16, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def disturb(tensors: Tensors) -> None:
        name = next(name for name in tensors if name.startswith("backbone") and part in name)
        # Noise, because the next LayerNorm would remove a constant.
        noise = np.random.default_rng(0).standard_normal(tensors[name].shape)
        tensors[name] = tensors[name] + noise.astype(np.float32)

    changed = copy_with(tiny_checkpoints[0], tmp_path / "changed", disturb)
    with torch.inference_mode():
        before, after = (load_motion(path)[0](clip) for path in (tiny_checkpoints[0], changed))
    assert (before - after).abs().max() > 1e-4


def test_positions_are_interleaved_sines_and_cosines() -> None:
    table = sine_cosine_positions(1568, 768)
    for position, channel in ((0, 0), (0, 1), (5, 0), (5, 1), (700, 300), (700, 301), (1567, 767)):
        angle = position / 10000 ** (2 * (channel // 2) / 768)
        assert table[position, channel] == pytest.approx(np.cos(angle) if channel % 2 else np.sin(angle), abs=1e-6)


def test_tensor_names_of_a_compiled_model_are_accepted(tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    def compiled(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[name.replace("backbone.", "backbone._orig_mod.")] = tensors.pop(name)

    load_motion(copy_with(tiny_checkpoints[0], tmp_path / "compiled", compiled))


@pytest.mark.parametrize("which", ["motion", "camera"])
def test_a_tensor_missing_or_left_over_is_named(
    which: str, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    directory = tiny_checkpoints[which == "camera"]
    load = load_camera if which == "camera" else load_motion
    name = Q_BIAS if which == "camera" else "backbone.model.model.blocks.0.attn.v_bias"
    without = copy_with(directory, tmp_path / "without", lambda tensors: tensors.pop(name))
    with pytest.raises(ExportError, match=r"bias.* is missing"):
        load(without)
    extra = np.zeros(3, np.float32)
    surplus = copy_with(directory, tmp_path / "surplus", lambda tensors: tensors.update({"head.surplus": extra}))
    with pytest.raises(ExportError, match=r"tensor head.surplus is left over"):
        load(surplus)


def test_a_tensor_of_another_shape_is_named(tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    name = "head.blocks.0.mlp.fc1.bias"
    changed = copy_with(
        tiny_checkpoints[0], tmp_path / "changed", lambda tensors: tensors.update({name: np.zeros(7, np.float32)})
    )
    with pytest.raises(ExportError, match=rf"{name} has shape \(7,\), expected \(192,\)"):
        load_motion(changed)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"num_frames": 8}, "num_frames is 8"),
        ("config.json", {"model_type": "timesformer"}, "model_type is 'timesformer'"),
        ("config.json", {"id2label": {"0": "a", "2": "b"}}, "id2label has no label '1'"),
        ("preprocessor_config.json", {"resample": 3}, "resample 3, not 2"),
        ("preprocessor_config.json", {"do_center_crop": False}, "do_center_crop False"),
        ("preprocessor_config.json", {"crop_size": {"height": 192, "width": 192}}, "crop_size"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 128}}, "shortest_edge of at least 224"),
        ("preprocessor_config.json", {"image_mean": 0.5}, "image_mean 0.5, not three numbers"),
    ],
)
def test_an_unsupported_classifier_is_refused(
    file: str, changes: dict[str, object], message: str, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(tiny_checkpoints[1], tmp_path / "camera"))
    rewrite(directory / file, **changes)
    with pytest.raises(ExportError) as raised:
        load_camera(directory)
    assert message in str(raised.value)


@pytest.mark.slow
def test_labels_and_preprocessing_are_the_checkpoints(tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    write_camera_checkpoint(tmp_path / "camera", width=48, depth=1, heads=3, labels=("left", "right"))
    rewrite(tmp_path / "camera" / "preprocessor_config.json", size={"shortest_edge": 256}, image_mean=[0.1, 0.2, 0.3])
    repository = copy_repository(tmp_path / "model_repository")
    export_networks(str(tiny_checkpoints[0]), str(tmp_path / "camera"), repository, report=lambda _: None)
    assert (repository / "camera_classifier" / "labels.txt").read_text() == "left\nright\n"
    manifest = json.loads((repository / "weights.json").read_text())
    assert manifest["labels"] == ["left", "right"]
    assert manifest["shortest_edge"] == 256
    assert manifest["camera"] == f"directory {tmp_path / 'camera'}"
    assert load_camera(tmp_path / "camera").network.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    session = onnxruntime.InferenceSession(repository / "camera_classifier" / "1" / "model.onnx")
    assert session.get_outputs()[0].shape[1] == 2


def test_a_motion_checkpoint_with_sigmoid_scores_up_to_targets_norm(tiny_checkpoints: tuple[Path, Path]) -> None:
    scores, _ = load_motion(tiny_checkpoints[0])[1](torch.randn(4, 48) * 50)
    assert scores.min() >= 0
    assert scores.max() <= 3


def test_random_weights_follow_their_documented_formulas(tmp_path: Path) -> None:
    """Some tensors of seed 0 at full width, computed independently."""
    write_motion_checkpoint(tmp_path, seed=0, depth=1, head_depth=1)
    tensors = load_file(tmp_path / "model.safetensors")
    rng = np.random.default_rng([0, 0xEAA2C46D])  # crc32 of backbone.model.model.fc_norm.weight
    expected = 1 + np.float32(0.1) * rng.standard_normal(768).astype(np.float32)
    assert np.array_equal(tensors["backbone.model.model.fc_norm.weight"], expected)
    assert tensors["backbone.model.model.patch_embed.proj.weight"].std() == pytest.approx(1 / np.sqrt(1536), rel=0.01)
    assert tensors["head.cls_token"].std() == pytest.approx(0.5, rel=0.1)
    assert tensors["head.pos_embed"].shape == (1, 241, 768)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/no/such/directory", "neither a directory nor a repository"),
        ("random:minus", "neither a directory nor a repository"),
        ("just-a-name", "neither a directory nor a repository"),
    ],
)
def test_an_invalid_source_is_refused(source: str, message: str) -> None:
    with pytest.raises(SourceUnavailable, match=message), open_source(source, "motion"):
        pass


def test_an_incomplete_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SourceUnavailable, match=r"has no model.safetensors"), open_source(str(tmp_path), "motion"):
        pass


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_a_pickle_is_refused_without_reading_it(name: str, tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_checkpoints[0], tmp_path / "motion"))
    (directory / "model.safetensors").rename(directory / name)
    with pytest.raises(ExportError, match=f"{name} is a pickle, and reading a pickle can run any code: convert it"):
        load_motion(directory)


def test_a_damaged_file_is_refused(tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_checkpoints[0], tmp_path / "motion"))
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SourceUnavailable, match="is damaged or incomplete"):
        load_motion(directory)
    (directory / "config.json").write_text("{")
    with pytest.raises(SourceUnavailable, match="is not valid JSON"):
        load_motion(directory)


def test_a_failed_export_changes_nothing(
    tiny_repository: Path,
    tiny_checkpoints: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    before = snapshot(repository)
    bad = copy_with(tiny_checkpoints[1], tmp_path / "bad", lambda tensors: tensors.pop(Q_BIAS))
    assert (
        main(["--motion", str(tiny_checkpoints[0]), "--camera", str(bad), "--model-repository", str(repository)]) == 1
    )
    assert "is missing; nothing was changed" in capsys.readouterr().err
    assert snapshot(repository) == before


@pytest.mark.slow
def test_an_unreadable_source_has_its_own_status_and_names_other_sources(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    result = run_export("--motion", str(tmp_path), "--camera", "random", "--model-repository", str(repository))
    assert result.returncode == 3
    assert "has no config.json; nothing was changed" in result.stderr
    lines = result.stderr.splitlines()
    assert f"    {command_as_typed()} --motion demo --camera demo" in lines
    assert f"    {command_as_typed()} --motion DIRECTORY --camera DIRECTORY" in lines


@pytest.mark.parametrize(("directory", "typed"), [("/opt/checkout", ".venv/bin/python"), ("/tmp", None)])
def test_commands_in_messages_are_as_they_are_typed_in_the_current_directory(
    directory: str, typed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = "/opt/checkout/.venv/bin/python"
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(os, "getcwd", lambda: directory)
    assert command_as_typed() == f"{typed or executable} -m export"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_changes_nothing(
    how: signal.Signals, tiny_repository: Path, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    before = snapshot(repository)
    arguments = ["--motion", tiny_checkpoints[0], "--camera", tiny_checkpoints[1], "--model-repository", repository]
    with subprocess.Popen(
        [sys.executable, "-m", "export", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("motion_head: writing"):  # the backbone is written, but not the rest
                break
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    after = snapshot(repository)
    if how == signal.SIGKILL:
        after = {name: state for name, state in after.items() if not name.endswith(".partial")}
    else:
        assert process.returncode == 130
        assert "interrupted; nothing was changed" in errors
        assert "Traceback" not in errors
    assert after == before


def test_two_exports_at_once_do_not_mix(tiny_repository: Path) -> None:
    with Transaction(tiny_repository), pytest.raises(ExportError, match="another export"), Transaction(tiny_repository):
        pass


def test_a_directory_that_is_no_model_repository_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not a model repository"), Transaction(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_gives_a_one_sentence_error(
    tiny_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoints: tuple[Path, Path]
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    before = snapshot(repository)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device", str(repository / "motion_backbone"))

    monkeypatch.setattr("export.exporter.write_graph", full)
    with pytest.raises(ExportError, match=r"cannot write .*motion_backbone: No space left on device"):
        export_networks(str(tiny_checkpoints[0]), str(tiny_checkpoints[1]), repository, report=lambda _: None)
    assert snapshot(repository) == before


@pytest.mark.parametrize("failing", [0, 1, 3])
def test_a_failed_rename_undoes_the_ones_before_it(
    failing: int, tiny_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    names = ["motion_head/1/model.onnx", "camera_classifier/labels.txt", "new.txt", "weights.json"]
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    broken = repository / (names[failing] + ".partial")
    plain = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self == broken:
            raise OSError("rename failed")
        return plain(self, target)

    with Transaction(repository) as transaction:
        for name in names:
            transaction.stage_text(name, "new")
        transaction.remove("motion_backbone/1/model.onnx")
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="rename failed"):
            transaction.commit()
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_an_unreadable_calibration_video_is_named(tiny_checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    before = snapshot(repository)
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    motion, camera = map(str, tiny_checkpoints)
    for video, message in (
        (text, "is not a video in a supported container"),
        (tmp_path / "none.mp4", "No such"),
    ):
        result = run_export(
            "--motion", motion, "--camera", camera, "--model-repository", str(repository), "--int8", str(video)
        )
        assert result.returncode == 1
        assert f"cannot take clips from {video}" in result.stderr
        assert "motion_backbone" not in result.stdout  # nothing was exported before
        assert message in result.stderr
        assert snapshot(repository) == before


@pytest.mark.slow
def test_an_unreachable_hub_is_noticed_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    repository = copy_repository(tmp_path / "model_repository")
    started = time.monotonic()
    result = run_export("--model-repository", str(repository))
    assert time.monotonic() - started < 30  # 6 s alone, nearly all of them imports; with retries it would be minutes
    assert result.returncode == 3
    assert "cannot download ai-forever/kandinsky-video-motion-predictor" in result.stderr
    assert result.stderr.endswith(" -m export --motion DIRECTORY --camera DIRECTORY\n")
    assert "Traceback" not in result.stderr
