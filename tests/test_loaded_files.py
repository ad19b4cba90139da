"""Which files a server has loaded: `server.loaded_files`."""

import os
from pathlib import Path

import pytest

from server.loaded_files import MAX_HASHED_BYTES, LoadedFiles
from server.model_control import ModelControl

LARGE = b"0" * (MAX_HASHED_BYTES + 1)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for model in ("motion_head", "video_sampling"):
        (tmp_path / model / "1").mkdir(parents=True)
        (tmp_path / model / "config.pbtxt").write_text(model)
        (tmp_path / model / "1" / "model.onnx").write_bytes(LARGE)
    (tmp_path / "weights.json").write_text("{}")
    return tmp_path


def replace(path: Path, content: bytes) -> None:
    """As an export does."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.rename(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("weights.json", b"{ }", True),
        ("weights.json", b"{}", False),
        ("motion_head/config.pbtxt", b"changed", True),
        ("motion_head/config.pbtxt", b"motion_head", False),
        ("motion_head/1/labels.txt", b"new", True),
        ("motion_head/1/model.onnx", LARGE, True),  # weights of the same name and size are other weights
        ("motion_head/1/__pycache__/model.pyc", b"new", False),
        ("motion_head/.openvino/network.blob", b"new", False),
        ("motion_head/1/model.onnx.partial", b"new", False),
        ("head_new/config.pbtxt", b"new", False),  # not loaded yet: weights.json and video_signals change with it
    ],
)
def test_what_an_export_replaces(repository: Path, name: str, content: bytes, expected: bool) -> None:
    files = LoadedFiles(repository)
    assert files.replaced() is False
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    replace(repository / name, content)
    assert files.replaced() is expected


def test_weights_that_are_written_again_are_other_weights(repository: Path) -> None:
    files = LoadedFiles(repository)
    path = repository / "motion_head" / "1" / "model.onnx"
    os.utime(path, ns=(1, 1))
    assert files.replaced() is True


def test_an_export_that_is_under_way_is_neither(repository: Path) -> None:
    files = LoadedFiles(repository)
    (repository / "weights.json").unlink()
    assert files.replaced() is None


def test_a_model_that_is_gone_counts_until_it_is_unloaded(repository: Path) -> None:
    files = LoadedFiles(repository)
    (repository / "motion_head" / "config.pbtxt").unlink()
    assert files.replaced() is True
    files.unloaded("motion_head")
    assert files.replaced() is False


def test_only_a_load_that_succeeded_counts(repository: Path) -> None:
    files = LoadedFiles(repository)
    control = ModelControl(lambda _: frozenset(), files)
    replace(repository / "weights.json", b"{ }")
    with control.change(b"POST", b"/v2/repository/models/motion_head/load") as succeeded:
        succeeded()
    assert files.replaced() is True  # another model's
    with control.change(b"POST", b"/v2/repository/models/video_sampling/load"):
        pass
    assert files.replaced() is True
    with control.change(b"POST", b"/v2/repository/models/video_sampling/load") as succeeded:
        replace(repository / "motion_head" / "config.pbtxt", b"meanwhile")
        succeeded()
    assert files.replaced() is True
    with control.change(b"POST", b"/v2/repository/models/motion_head/load") as succeeded:
        succeeded()
    assert files.replaced() is False
    with control.change(b"POST", b"/v2/repository/models/motion_head/unload") as succeeded:
        succeeded()
    (repository / "motion_head" / "config.pbtxt").unlink()
    assert files.replaced() is False
