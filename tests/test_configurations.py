"""Triton completes configurations only where one is not complete."""

from pathlib import Path

import pytest

from export.configs import TEMPLATES, model_files
from server import Server
from server.configurations import DO_NOT_COMPLETE, all_complete, name_others
from server.flags import Endpoints, triton_flags
from server.settings import Settings
from tests.conftest import MODEL_REPOSITORY, copy_repository

VALUES = dict.fromkeys(("height", "width", "dimensions", "labels", "side", "channels", "max_tokens", "padding"), 8)
WHOLE = """
# { a comment
input [
  { name: "A" data_type: TYPE_UINT8 dims: [ 1, -1 ] optional: true },
  { name: "B" data_type: TYPE_FP32 dims: [ 16 ] }
]
output [
  { name: "C" data_type: TYPE_STRING dims: [ -1 ] label_filename: "labels.txt" }
]
"""


def write(directory: Path, text: str, name: str = "config.pbtxt") -> None:
    path = directory / "model" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_those_of_the_cpu_profile_are_complete_and_others_leave_shapes_to_triton(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    templates = [path.name for path in TEMPLATES.iterdir()]
    assert "frame_encoder" in templates
    for template in templates:
        for name, text in model_files(template, **VALUES, name=template).items():
            (repository / template / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / template / name).write_text(text)
    assert all_complete(repository, "cpu")
    assert not all_complete(repository, "gpu")
    assert not all_complete(MODEL_REPOSITORY, "tensorrt")


def test_that_of_the_profile_counts(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    (tmp_path / "weights.json").write_text("{}")
    assert all_complete(tmp_path, "cpu")
    write(tmp_path, "", "configs/cpu.pbtxt")
    assert not all_complete(tmp_path, "cpu")
    assert all_complete(tmp_path, "gpu")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (" dims: [ 16 ] }", " }"),
        ("dims: [ 16 ]", "dims: [ ]"),
        (" data_type: TYPE_FP32", ""),
        ('name: "B" ', ""),
        ("output [", "# output ["),
        ("input [\n", "input [\n]\ninputs [\n"),
        ("TYPE_STRING dims", "TYPE_STRING # dims"),
        (WHOLE, 'input { name: "A" data_type: TYPE_UINT8 dims: 1 } output { name: "C" data_type: TYPE_FP32 dims: 1 }'),
        (WHOLE, "\udcff"),
    ],
)
def test_what_is_left_out_is_noticed(before: str, after: str, tmp_path: Path) -> None:
    assert WHOLE.count(before) == 1
    path = tmp_path / "model" / "config.pbtxt"
    path.parent.mkdir()
    path.write_text(WHOLE.replace(before, after), errors="surrogateescape")
    assert not all_complete(tmp_path, "cpu")


@pytest.mark.parametrize(
    ("flags", "others"),
    [
        ("--log-verbose=1", False),
        ("--model-repository=/more", True),
        ("--model-store /more", True),
        ("--model-config-name=mine", True),
    ],
)
def test_models_that_the_operator_adds_are_completed(
    flags: str, others: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRITON_FLAGS", flags)
    settings = Settings.on_free_ports(tmp_path)
    assert name_others(triton_flags(settings, Endpoints.choose(settings), "key", "prefix", from_pip=True)) == others


def test_a_model_without_a_configuration_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    assert not all_complete(tmp_path, "cpu")


def test_no_process_is_started_to_complete_them(server: Server) -> None:
    assert isinstance(server.process.args, list)
    assert DO_NOT_COMPLETE in server.process.args
