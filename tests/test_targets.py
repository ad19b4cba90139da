"""What an export writes for GPUs: fp16 graphs, and TensorRT plans, built here by stand-ins for its two builders."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export import ExportError, PlanRejected
from export.attention import AttentionForm
from export.camera_network import load_camera
from export.exporter import FP16_TOLERANCE
from export.fp16 import PatchProduct
from export.graph import outputs_of
from export.motion_network import load_motion
from export.networks import export_networks
from export.plan_check import check_close
from export.plans import PLAN, STAMP, Plans, PlanSource
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from export.repository import Transaction
from export.tensorrt import layer_names
from tests.conftest import MODEL_REPOSITORY, copy_repository
from tests.fake_tensorrt import SEED
from tests.tensorrt_machine import Machine

ANOTHER = SEED + b" of another graph"
LAYERS = {"motion_backbone": 1, "camera_classifier": 1}  # of the tiny networks
FP16 = {f"{model}/1/model_fp16.onnx" for model in LAYERS}
SAMPLES = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 8, 3), np.uint8)
CLIP = SAMPLES.shape[1:]
PLANS = {f"{model}/1/model.plan" for model in LAYERS}

NVIDIA_SMI = """#!/bin/sh
[ "$3" = --id=1 ] || echo 'NVIDIA H200, 9.0'
echo 'NVIDIA L40S, 8.9'
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "machine", monkeypatch)


@pytest.fixture(scope="module")
def fp16_repository(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoints: tuple[Path, Path]) -> Path:
    repository = copy_repository(tmp_path_factory.mktemp("fp16") / "model_repository")
    motion, camera = map(str, tiny_checkpoints)
    export_networks(motion, camera, repository, lambda _: None)
    return repository


def written(repository: Path) -> set[str]:
    files = [*repository.rglob("model_fp16.onnx"), *repository.rglob("model.plan")]
    return {str(path.relative_to(repository)) for path in files}


@pytest.mark.slow
def test_each_target_includes_those_before_it(
    fp16_repository: Path, tiny_repository: Path, tiny_checkpoints: tuple[Path, Path], tmp_path: Path, machine: Machine
) -> None:
    assert (written(tiny_repository), written(fp16_repository)) == (set(), FP16)
    machine.python_package("10.13.3.9")
    repository = Path(shutil.copytree(fp16_repository, tmp_path / "model_repository"))
    motion, camera = map(str, tiny_checkpoints)
    for target, expected in (("tensorrt", FP16 | PLANS), ("cpu", set())):
        export_networks(motion, camera, repository, lambda _: None, target=target)
        assert written(repository) == expected
        assert len(list(repository.rglob("model.onnx"))) == 3
        assert bool(list(repository.rglob("model.plan.json"))) == (target == "tensorrt")


@pytest.mark.parametrize("model", list(LAYERS))
@pytest.mark.slow
def test_an_fp16_graph_computes_in_fp16_except_where_it_loses_too_much(model: str, fp16_repository: Path) -> None:
    graph = onnx.load(fp16_repository / model / "1" / "model_fp16.onnx").graph
    fp16 = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    assert {"MatMul", "LayerNormalization"} <= {node.op_type for node in graph.node}
    for node in graph.node:
        assert node.op_type != "Softmax"
        if node.op_type == "MatMul":
            assert fp16 & set(node.input), node.name
        if node.op_type == "LayerNormalization":
            # 1, the default: mean and variance in float32
            assert next((a.i for a in node.attribute if a.name == "stash_type"), 1) == 1
    values = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    (mean,) = (node for node in graph.node if node.op_type == "ReduceMean")
    assert values[mean.output[0]] == onnx.TensorProto.FLOAT
    assert all(values[tensor.name] == onnx.TensorProto.FLOAT for tensor in graph.output)


@pytest.mark.parametrize("model", list(LAYERS))
@pytest.mark.slow
def test_fp16_outputs_are_close_to_float32(
    model: str, fp16_repository: Path, tiny_checkpoints: tuple[Path, Path]
) -> None:
    motion, camera = tiny_checkpoints
    network = load_motion(motion)[0] if model == "motion_backbone" else load_camera(camera).network
    clips = torch.randint(0, 256, (3, 16, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    path = fp16_repository / model / "1" / "model_fp16.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: clips.numpy()})
    (expected,) = outputs_of(network, clips)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.005)
    assert not np.array_equal(found, expected)  # equal if it were float32


def test_the_patch_embedding_as_a_matrix_product_equals_the_convolution() -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(3, 24, (2, 16, 16), stride=(2, 16, 16))
    video = torch.randn(2, 3, 4, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(PatchProduct(convolution)(video), convolution(video))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return copy_repository(tmp_path / "model_repository")


def build_plan(repository: Path, graph: bytes = SEED, attention_layers: int = 1) -> list[str]:
    """Write the plan of a network in the backbone's place; the progress lines."""
    lines: list[str] = []
    onnx_file = repository.parent / "graph.onnx"
    onnx_file.write_bytes(graph)
    means = SAMPLES.reshape(len(SAMPLES), -1).mean(axis=1, keepdims=True, dtype=np.float32)
    source = PlanSource(onnx_file, "MOTION_CLIPS", "OUT", attention_layers, SAMPLES, means, FP16_TOLERANCE)
    with Transaction(repository) as transaction:
        Plans(transaction, lines.append).write(source, "motion_backbone")
        transaction.commit()
    return lines


def check_plan(repository: Path, version: str, graph: bytes = SEED) -> None:
    plan, stamp = (json.loads((repository / "motion_backbone" / "1" / name).read_text()) for name in (PLAN, STAMP))
    assert plan["profiles"] == [{"MOTION_CLIPS": [[1, *CLIP], [16, *CLIP], [32, *CLIP]]}]
    assert base64.b64decode(plan["onnx"]) == graph
    assert stamp["onnx_sha256"] == hashlib.sha256(graph).hexdigest()
    assert (stamp["gpu"], stamp["tensorrt"]) == ("NVIDIA H200, 9.0", version)


@pytest.mark.parametrize("version", ["10.13.3.9", "11.4.0.106"])
def test_plans_by_the_python_package(version: str, repository: Path, machine: Machine) -> None:
    machine.python_package(version)
    machine.trtexec(100000, builds=False)  # not used: the package takes precedence
    build_plan(repository)
    check_plan(repository, version)


@pytest.mark.parametrize("version", [101303, 110400])
def test_plans_by_trtexec(version: int, repository: Path, machine: Machine) -> None:
    machine.trtexec(version)
    build_plan(repository)
    check_plan(repository, f"trtexec v{version}")


def test_a_plan_is_rebuilt_only_if_the_network_the_gpu_or_tensorrt_has_changed(
    repository: Path, machine: Machine
) -> None:
    machine.python_package("10.13.3.9")
    assert "motion_backbone: building the plan, which takes minutes" in build_plan(repository)
    plan = repository / "motion_backbone" / "1" / PLAN

    def is_rebuilt(graph: bytes = SEED) -> bool:
        before = plan.stat().st_ino if plan.is_file() else None
        lines = build_plan(repository, graph)
        rebuilt = plan.stat().st_ino != before
        assert ("motion_backbone: the plan is up to date" in lines) != rebuilt
        return rebuilt

    assert not is_rebuilt()
    machine.gpu("NVIDIA L40S, 8.9")
    assert is_rebuilt()
    assert not is_rebuilt()
    machine.python_package("11.4.0.106")
    assert is_rebuilt()
    assert is_rebuilt(ANOTHER)
    assert not is_rebuilt(ANOTHER)
    plan.unlink()
    assert is_rebuilt(ANOTHER)
    (repository / "motion_backbone" / "1" / STAMP).write_text("{")
    assert is_rebuilt(ANOTHER)


def test_without_tensorrt_or_a_gpu_the_export_fails_before_it_writes_anything(
    tiny_checkpoints: tuple[Path, Path], repository: Path, machine: Machine
) -> None:
    motion, camera = map(str, tiny_checkpoints)

    def message() -> str:
        with pytest.raises(ExportError) as caught:
            export_networks(motion, camera, repository, pytest.fail, target="tensorrt")
        return str(caught.value)

    assert message() == (
        "TensorRT is not installed, neither the Python package tensorrt nor trtexec: export in NVIDIA's container"
    )
    machine.package("raise ImportError('libnvinfer.so.11: cannot open shared object file')")
    assert "tensorrt is installed but cannot be imported: libnvinfer.so.11: cannot open" in message()
    machine.python_package("11.4.0.106")
    (machine.directory / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert "a plan is built on the GPU that runs it, and nvidia-smi finds no GPU" in message()
    machine.gpu("")
    assert "a plan is built on the GPU" in message()


def test_on_a_machine_with_different_gpus_one_must_be_chosen(
    repository: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.python_package("11.4.0.106")
    machine.script("nvidia-smi", NVIDIA_SMI)
    with pytest.raises(
        ExportError, match=r"choose a GPU with CUDA_VISIBLE_DEVICES: this machine has NVIDIA H200, 9\.0; NV"
    ):
        build_plan(repository)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert "plans: for NVIDIA L40S, 8.9, with TensorRT 11.4.0.106" in build_plan(repository)


@pytest.mark.slow
def test_no_export_changes_a_file_that_git_tracks(tmp_path: Path, machine: Machine) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path / "checkout"), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    repository = copy_repository(tmp_path / "checkout" / "model_repository")
    shutil.copy(MODEL_REPOSITORY.parent / ".gitignore", tmp_path / "checkout")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "checkout")
    write_motion_checkpoint(tmp_path / "motion", width=24, depth=1, head_depth=1)
    write_camera_checkpoint(tmp_path / "camera", width=48, depth=1, heads=3, labels=("left", "right"))
    machine.python_package("10.13.3.9")
    tiny = (str(tmp_path / "motion"), str(tmp_path / "camera"))
    for sources, target, expected in ((("demo", "demo"), "cpu", set()), (tiny, "tensorrt", FP16 | PLANS)):
        export_networks(*sources, repository, lambda _: None, target=target)
        assert written(repository) == expected
        assert git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("parses", "TensorRT 11.4.0.106 cannot read graph.onnx: no importer for Frobnicate"),
        ("builds", "TensorRT 11.4.0.106 cannot build graph.onnx: no tactic for Softmax"),
        ("trtexec", r"trtexec cannot build graph.onnx: .*\[E\] Error\[4\]: no tactic for Softmax"),
    ],
)
def test_a_plan_that_cannot_be_built_changes_nothing(
    fault: str, message: str, repository: Path, machine: Machine
) -> None:
    if fault == "trtexec":
        machine.trtexec(110400, builds=False)
    else:
        machine.python_package("11.4.0.106", **{fault: False})
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()}
    with pytest.raises(ExportError, match=message):
        build_plan(repository)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()} == before


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unfused": (
        {"fused": 11},
        r"motion_backbone, .*11.*, NVIDIA H200, 9\.0: TensorRT fused attention in 11 of 12 layers",
    ),
    "wrong": (
        {"wrong": (1, 0.06)},
        r"differs from PyTorch in float32 by 0\.06 at a batch of 1, more than 0\.05: build it",
    ),
    "wrong at 16": (
        {"wrong": (16, -3.0)},
        r"differs from PyTorch in float32 by 3 at a batch of 16, more than 0\.05",
    ),
    "no number at 32": (
        {"wrong": (32, float("nan"))},
        r"differs from PyTorch in float32 by nan at a batch of 32",
    ),
}


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        *(("package", name) for name in FAULTS),
        *(pytest.param("trtexec", name, marks=pytest.mark.slow) for name in FAULTS if name != "no number at 32"),
        ("trtexec", "no number at 32"),
    ],
)
def test_a_slow_or_wrong_plan_is_an_error_and_changes_nothing(
    tool: str, name: str, repository: Path, machine: Machine
) -> None:
    fault, message = FAULTS[name]

    def install(**options: Any) -> None:
        if tool == "package":
            machine.python_package("11.4.0.106", **options)
        else:
            machine.trtexec(110400, **options)

    install(**({"fused": 12} | fault))
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()}
    with pytest.raises(PlanRejected, match=message):
        build_plan(repository, attention_layers=12)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()} == before
    install(fused=13, wrong=(32, 0.04))
    assert (
        "motion_backbone: 13 kernels for attention in 12 layers, the plan differs from PyTorch by 4.0e-02"
        in build_plan(repository, attention_layers=12)
    )


def test_a_plan_of_another_shape_is_rejected() -> None:
    with pytest.raises(PlanRejected, match=r"output has shape \(2, 5\), not \(2, 4\)"):
        check_close(np.zeros((2, 5), np.float32), np.zeros((2, 4), np.float32), 1.0)


def test_layers_are_named_by_plans_with_and_without_details() -> None:
    """As TensorRT's documentation of the engine inspector shows them."""
    detailed = {"Name": "_gemm_mha_v2_myl3_6", "LayerType": "mha", "Inputs": [], "Outputs": [], "TacticName": ""}
    assert layer_names({"Layers": [detailed, "__myl_MoveReshTran_myl3_7"], "Bindings": []}) == [
        "_gemm_mha_v2_myl3_6",
        "__myl_MoveReshTran_myl3_7",
    ]


@pytest.mark.parametrize(
    ("version", "form"),
    [
        ("10.13.3.9", AttentionForm.TENSORRT),
        ("11.2.1", AttentionForm.TENSORRT),
        ("11.3.0", AttentionForm.TENSORRT_FLOAT32),
        ("12.0.0", AttentionForm.TENSORRT_FLOAT32),
        (101303, AttentionForm.TENSORRT),
        (110201, AttentionForm.TENSORRT),
        (110400, AttentionForm.TENSORRT_FLOAT32),
    ],
)
def test_attention_accumulates_in_float32_where_tensorrt_fuses_it_so(
    version: str | int, form: AttentionForm, repository: Path, machine: Machine
) -> None:
    if isinstance(version, str):
        machine.python_package(version)
    else:
        machine.trtexec(version)
    with Transaction(repository) as transaction:
        assert Plans(transaction, lambda _: None).attention is form


def test_a_tensorrt_that_cannot_be_used_is_named(
    repository: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.python_package("9.3.0")
    with pytest.raises(ExportError, match=r"TensorRT 9\.3\.0 is too old for these networks: install TensorRT 10"):
        build_plan(repository)
    machine.python_package("11.4.0.106")
    monkeypatch.setattr("export.tensorrt.pytorch_has_cuda", lambda: False)
    with pytest.raises(ExportError, match=r"could not be compared .* this PyTorch has no CUDA and there is no trtexec"):
        build_plan(repository)
    machine.trtexec(110400)
    assert "plans: for NVIDIA H200, 9.0, with TensorRT trtexec v110400" in build_plan(repository)
    machine.script("trtexec", "#!/bin/sh\necho usage: trtexec\n")
    with pytest.raises(ExportError, match="trtexec does not say which version of TensorRT it belongs to"):
        build_plan(repository)


@pytest.mark.slow
def test_the_command_line_takes_a_target(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    command = [sys.executable, "-m", "export", "--model-repository", str(repository), "--target", "tensorrt"]
    environment = os.environ | {"PATH": "/usr/bin:/bin"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 1
    assert "export: TensorRT is not installed" in result.stderr
    assert "nothing was changed" in result.stderr
    result = subprocess.run([*command[:-1], "tpu"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "invalid choice: 'tpu'" in result.stderr
