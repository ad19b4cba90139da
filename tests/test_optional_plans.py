"""TensorRT plans of the optional networks, with a stand-in for TensorRT and the GPU."""

import json
import re
import shutil
from pathlib import Path

import pytest

from export import PlanRejected
from export.networks import export_networks
from export.plans import PLAN, STAMP
from export.random_networks import write_actions_checkpoint
from fixtures.encoders import LAYERS, write_encoder
from tests.tensorrt_machine import Machine

FORMS = ("model.onnx", "model_fp16.onnx", PLAN, STAMP)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "machine", monkeypatch)


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))


def forms(repository: Path, model: str) -> tuple[str, ...]:
    return tuple(name for name in FORMS if (repository / model / "1" / name).is_file())


def check_profile(repository: Path, model: str, tensor: str, shape: list[int]) -> None:
    """The plan takes the batches that the configuration of its profile sends."""
    (profile,) = json.loads((repository / model / "1" / PLAN).read_text())["profiles"]
    config = (repository / model / "configs" / "tensorrt.pbtxt").read_text()
    (largest,) = map(int, re.findall(r"max_batch_size: (\d+)", config))
    preferred = {
        int(size) for sizes in re.findall(r"preferred_batch_size: \[([^\]]*)\]", config) for size in sizes.split(",")
    }
    least, optimum, most = profile[tensor]
    assert (least, most) == ([1, *shape], [largest, *shape])
    assert optimum[1:] == shape
    assert not preferred or optimum[0] in preferred


@pytest.mark.parametrize(
    "kind", ["clip", pytest.param("siglip", marks=pytest.mark.slow), pytest.param("resnet", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_the_plan_of_an_image_encoder(kind: str, repository: Path, tmp_path: Path, machine: Machine) -> None:
    fused = 0 if kind == "resnet" else LAYERS
    machine.python_package("10.13.3.9", fused=fused)
    encoder = write_encoder(kind, tmp_path / kind)
    lines: list[str] = []
    export_networks(None, None, repository, lines.append, target="tensorrt", frames=str(encoder))
    assert forms(repository, "frame_encoder") == FORMS
    entry = json.loads((repository / "weights.json").read_text())["frames"]
    check_profile(repository, "frame_encoder", "FRAME_CLIPS", [entry["height"], entry["width"], 3])
    assert f"frame_encoder: {fused} kernels for attention in {fused} layers, the plan differs" in "\n".join(lines)

    lines.clear()
    export_networks(None, None, repository, lines.append, target="tensorrt", frames=str(encoder))
    assert "frame_encoder: the plan is up to date" in lines
    export_networks(None, None, repository, lines.append, target="cpu", frames=str(encoder))
    assert forms(repository, "frame_encoder") == ("model.onnx",)


@pytest.mark.slow
def test_the_plan_of_an_action_classifier(repository: Path, tmp_path: Path, machine: Machine) -> None:
    write_actions_checkpoint(tmp_path / "actions", width=48, depth=1, heads=3, patch=56, labels=("jump", "run"))
    machine.trtexec(101303)
    export_networks(None, None, repository, lambda _: None, target="tensorrt", actions=str(tmp_path / "actions"))
    assert forms(repository, "action_classifier") == FORMS
    check_profile(repository, "action_classifier", "ACTION_CLIPS", [16, 224, 224, 3])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fused": 0}, r"frame_encoder, TensorRT 10\.13\.3\.9, .*: TensorRT fused attention in 0 of \d+ layers"),
        (
            {"fused": LAYERS, "wrong": (1, 0.06)},
            r"frame_encoder, .*: the plan differs from PyTorch in float32 by 0\.06",
        ),
    ],
)
@pytest.mark.slow
def test_a_slow_or_wrong_plan_of_an_image_encoder_is_not_served(
    options: dict[str, object], sentence: str, repository: Path, tmp_path: Path, machine: Machine
) -> None:
    machine.python_package("10.13.3.9", **options)
    encoder = write_encoder("clip", tmp_path / "clip")
    with pytest.raises(PlanRejected, match=sentence):
        export_networks(None, None, repository, lambda _: None, target="tensorrt", frames=str(encoder))
    assert not (repository / "frame_encoder").exists()
