"""`make gpu-check` without a GPU: measurements on the CPU, verdicts, and messages about what is missing."""

import dataclasses
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import capacity
from bench.gpu import __main__ as gpu
from bench.gpu import attention, decoding, rates, serving
from bench.gpu.attention import Choice
from bench.gpu.steps import Figure, Skipped, run_step, table
from client import CameraClip, Client, MotionScores, Score
from export import PlanRejected
from export.motion_network import load_motion
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from fixtures.synthetic import encode
from server import Server
from tests.conftest import MODEL_REPOSITORY, REFERENCE

SHORT = 0.05


def test_the_measurements_run_on_a_cpu(tiny_repository: Path, tiny_checkpoints: tuple[Path, Path]) -> None:
    assert rates.matrix_rate("cpu", SHORT, width=64) > 0
    path = tiny_repository / "motion_backbone" / "1" / "model.onnx"
    assert rates.onnxruntime_seconds(path, 2, "cpu", SHORT) > 0
    network = load_motion(tiny_checkpoints[0])[0]
    network.to_fp16(torch.bfloat16)
    assert rates.torch_seconds(network, 2, "cpu", SHORT, compiled=False) > 0


def test_the_decoding_rate_is_measured() -> None:
    pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")
    video = encode(20, codec="libvpx-vp9", container="webm")
    assert decoding.frames_per_second(video, 20, "cpu", 2, SHORT) > 1


def test_the_server_is_measured(server: Server, reference_videos: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    path.write_bytes(encode(30))
    latency = serving.first_and_tenth(server, path)
    assert latency.text.startswith("first request ")
    assert "videos/s (2 in flight" in serving.videos_per_second(server, [path], 2, SHORT).text


def answer_of(client: Client, video: Path) -> Score:
    """The reference figures of a video as an answer of the client."""
    motion, camera = (np.load(REFERENCE / f"{name}_seed0.npz") for name in ("motion", "camera"))
    score = client.score(encode(20))
    probabilities = camera[f"{video.stem}_mp4/probabilities"]
    clips = tuple(
        CameraClip(0.0, 1.0, {str(index): float(value) for index, value in enumerate(row)}) for row in probabilities
    )
    return dataclasses.replace(
        score, motion=MotionScores(*map(float, motion[f"{video.stem}_mp4/scores"])), camera=clips
    )


def test_answers_are_right_within_the_bound_and_wrong_beyond_it(
    client: Client, reference_videos: dict[str, Path]
) -> None:
    scores = {name: answer_of(client, path) for name, path in reference_videos.items()}
    assert all(figure.right for figure in serving.differences(reference_videos, scores).values())
    off = scores["bikes"].motion
    scores["bikes"] = dataclasses.replace(
        scores["bikes"], motion=dataclasses.replace(off, dynamics_score=off.dynamics_score + 0.02)
    )
    scores["carphone_pristine"] = dataclasses.replace(scores["carphone_pristine"], camera=scores["bikes"].camera[:1])
    found = serving.differences(reference_videos, scores)
    assert [figure.right for figure in found.values()] == [False, True, False]


def test_a_step_passes_fails_or_says_why_it_was_skipped() -> None:
    def skipped() -> dict[str, Figure]:
        raise Skipped("no CUDA")

    rows = [
        *run_step("rate", lambda: {"": Figure("3 TFLOP/s"), "low": Figure("1 TFLOP/s", fast=False)}),
        *run_step("score", lambda: {"": Figure("0.4 off", right=False, fast=False)}),
        *run_step("plan", skipped),
        *run_step("server", lambda: {"": Figure(str(1 / 0))}),
    ]
    assert table(rows).splitlines() == [
        "rate       ok       3 TFLOP/s",
        "rate, low  slow     1 TFLOP/s",
        "score      WRONG    0.4 off",
        "plan       skipped  no CUDA",
        "server     FAILED   ZeroDivisionError: division by zero",
    ]


def test_without_a_gpu_it_says_so_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.main(["--directory", str(tmp_path / "cache")]) == 1
    printed = capsys.readouterr()
    assert "no NVIDIA GPU: nvidia-smi is not installed" in printed.out
    assert "all other steps need a GPU" in printed.err


@pytest.mark.slow
def test_steps_whose_packages_are_missing_are_skipped_and_the_others_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a machine with a GPU, but without packages that use it."""
    nvidia_smi = tmp_path / "nvidia-smi"
    nvidia_smi.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 580.95.05'\n")
    nvidia_smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setitem(sys.modules, "nvidia", None)
    monkeypatch.setattr(
        gpu, "write_motion_checkpoint", partial(write_motion_checkpoint, width=48, depth=1, head_depth=1)
    )
    monkeypatch.setattr(gpu, "write_camera_checkpoint", partial(write_camera_checkpoint, width=48, depth=1, heads=3))
    monkeypatch.setattr(gpu, "CAPACITY", [made for made in gpu.CAPACITY if made.name == "360p_5s"])
    monkeypatch.setattr("server.installation.has_gpu", lambda: True)
    assert gpu.main(["--directory", str(tmp_path / "cache"), "--seconds", str(SHORT)]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    found = {line.partition("  ")[0]: line for line in lines}
    assert "NVIDIA H200" in found["GPU"]
    assert "ok" in found["export"]
    for what, missing in (
        ("matrices, fp16", "this PyTorch has no CUDA"),
        ("motion_backbone, ONNX Runtime fp16", "this ONNX Runtime has no CUDA"),
        ("camera_classifier, TensorRT fp16", "TensorRT is not installed"),
        ("camera_classifier, PyTorch bf16 compiled", "this PyTorch has no CUDA"),
        ("NVDEC, 360p_5s", "DALI is not installed"),
        ("server", "onnxruntime-gpu"),
    ):
        assert "skipped" in found[what]
        assert missing in found[what]
    assert (tmp_path / "cache" / "gpu.json").is_file()


def test_capacity_is_bounded_by_the_slower_of_networks_and_decoders(capsys: pytest.CaptureFixture[str]) -> None:
    # 5 s: (4 * 5 // 16 + 1) segments, and clips of 0-2, 2-4 and, because half a clip is left, 3-5 s
    of_five_seconds = capacity.cost(5, 30)
    assert (of_five_seconds.frames, of_five_seconds.segments, of_five_seconds.clips) == (150, 2, 3)
    assert of_five_seconds.flop == pytest.approx(2 * 361e9 + 3 * 1194e9, rel=0.01)
    assert capacity.main(["--tflops", "430", "--decode-fps", "3000"]) == 0
    small, _, _, large, _, _ = capsys.readouterr().out.splitlines()[1:]
    assert small.split()[5] == "99.9"  # 430 TFLOP/s by 4.3 TFLOP
    assert "networks" in small
    assert "NVDEC" in large
    assert float(large.split()[-2].rstrip(",")) == pytest.approx(1e6 / 86400 / (3000 / 150), abs=0.01)


# What ONNX Runtime's attention_kernel_options.cc prints: Print() of the options, once, and then for each node and run
# the line of AttentionKernelDebugInfo::Print, both in cyan. Later releases add fields to the end of the line.
OPTIONS = (
    "\x1b[36mAttentionKernelOptions: FLASH_ATTENTION=1 EFFICIENT_ATTENTION=1 TRT_FUSED_ATTENTION=1 "
    "CUDNN_FLASH_ATTENTION=0 TRT_FLASH_ATTENTION=1 TRT_CROSS_ATTENTION=1 DECODER_ATTENTION=1 MATH=1\x1b[0m\n"
)


def printed_choice(kernel: str, *, node: str = " Node=node_MultiHeadAttention_35", kind: str = "fp16") -> str:
    return f"\x1b[36mOperator=MultiHeadAttention{node} DataType={kind} SdpaKernel={kernel}\x1b[0m\n"


def test_the_kernel_of_each_attention_node_is_read() -> None:
    output = (
        OPTIONS
        + printed_choice("CUDNN_FLASH_ATTENTION")
        + "2026-11-22 10:00:00.0 [W:onnxruntime:, session.cc:1] Some nodes were not assigned\n"
        + printed_choice("MATH", node="", kind="fp32")
        + printed_choice("FLASH_ATTENTION NumSplits=2", node=" Node=node with spaces")
        + "\x1b[36mOperator=GroupQueryAttention Node=g DataType=fp16 SdpaKernel=XQA\x1b[0m\n"
    )
    assert attention.choices(output) == [
        Choice("node_MultiHeadAttention_35", "fp16", "CUDNN_FLASH_ATTENTION"),
        Choice("", "fp32", "MATH"),
        Choice("node with spaces", "fp16", "FLASH_ATTENTION"),
    ]


@pytest.mark.parametrize(
    ("kernels", "kind", "capability", "state"),
    [
        (["CUDNN_FLASH_ATTENTION"] * 2, "fp16", "9.0", "ok"),
        (["CUDNN_FLASH_ATTENTION"] * 2, "fp16", "10.0", "ok"),
        (["FLASH_ATTENTION"] * 2, "fp16", "8.9", "ok"),
        (["EFFICIENT_ATTENTION"] * 2, "fp16", "7.5", "ok"),
        (["CUDNN_FLASH_ATTENTION", "FLASH_ATTENTION"], "fp16", "9.0", "slow"),
        (["CUDNN_FLASH_ATTENTION"] * 2, "fp16", "8.0", "slow"),
        (["CUDNN_FLASH_ATTENTION", "MATH"], "fp16", "9.0", "WRONG"),
        (["MATH"] * 2, "fp16", "7.5", "WRONG"),
        (["CUDNN_FLASH_ATTENTION"] * 2, "fp32", "9.0", "WRONG"),
        (["CUDNN_FLASH_ATTENTION"], "fp16", "9.0", "WRONG"),  # of two layers
        ([], "fp16", "9.0", "WRONG"),
    ],
)
def test_a_row_fails_where_attention_is_not_fused(kernels: list[str], kind: str, capability: str, state: str) -> None:
    output = OPTIONS + "".join(printed_choice(kernel, kind=kind) for kernel in kernels)
    figure = attention.verdict(attention.choices(output), 2, capability)
    (row,) = run_step("attention", lambda: {"": figure})
    assert row.state == state, row
    assert ", in 2 layers" in row.text
    assert (f"{kernels[0]} in {kind}" if kernels else "ONNX Runtime named no kernel") in row.text


def test_the_process_that_prints_the_kernels_runs_the_network(tiny_repository: Path) -> None:
    path = tiny_repository / "motion_backbone" / "1" / "model.onnx"
    assert attention.choices(attention.printed(path, 1, "cpu", {})) == []  # a CPU has one kernel, and does not name it
    with pytest.raises(RuntimeError, match=r"nothing\.onnx"):
        attention.printed(tiny_repository / "nothing.onnx", 1, "cpu", {})


def test_the_networks_are_measured_with_the_options_that_are_served() -> None:
    config = MODEL_REPOSITORY / "camera_classifier" / "config.pbtxt"
    assert attention.cuda_options(config) == {"sdpa_kernel": "0", "enable_skip_layer_norm_strict_mode": "1"}
    assert attention.cuda_options(MODEL_REPOSITORY / "motion_head" / "config.pbtxt") == {}


def test_a_rejected_plan_is_a_wrong_row_and_the_rest_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    targets = []

    def export(*arguments: object, target: str) -> None:
        targets.append(target)
        if target == "tensorrt":
            raise PlanRejected("TensorRT fused attention in 0 of 12 layers")

    monkeypatch.setattr(gpu, "export_networks", export)
    monkeypatch.setattr(gpu, "find_builder", lambda: None)
    monkeypatch.setattr(gpu, "name_of_gpu", lambda: "NVIDIA H200, 9.0")
    (tmp_path / "camera").mkdir()
    check = gpu.Check(tmp_path, SHORT)
    rows = run_step("export", check.export)
    assert [(row.what, row.state) for row in rows] == [("export", "ok"), ("export, TensorRT's plans", "WRONG")]
    assert targets == ["tensorrt", "gpu"]
    (skipped,) = run_step("plan", partial(check.tensorrt, "motion_backbone"))
    assert (skipped.state, skipped.text) == ("skipped", "TensorRT fused attention in 0 of 12 layers")
