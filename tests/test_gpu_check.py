"""`make gpu-check` without a GPU: measurements on the CPU, verdicts, and messages about what is missing."""

import dataclasses
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.gpu import __main__ as gpu
from bench.gpu import attention, decoding, rates, serving
from bench.gpu.attention import Choice
from bench.gpu.steps import Figure, Skipped, run_step, table
from bench.gpu.sweep import serving as serving_load
from bench.gpu.sweep.device import Device
from bench.gpu.sweep.grid import NETWORKS, Setting
from bench.gpu.sweep.on_gpu import OnGpu
from client import CameraClip, Client, MotionScores, Score, VideoInfo, Weights
from export import ExportError, PlanRejected
from export.motion_network import load_motion
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from fixtures.synthetic import encode
from server import Server
from tests.conftest import MODEL_REPOSITORY, REFERENCE, copy_repository

SHORT = 0.05
H200 = Device("NVIDIA H200", "580.95.05", 7)


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


def test_a_load_is_counted_with_what_triton_did_meanwhile(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    path.write_bytes(encode(30))
    raw = serving_load.measure(server.url, path, 2, SHORT)
    assert raw["videos"] >= 2
    assert raw["videos_per_second"] == pytest.approx(raw["videos"] / raw["seconds"])
    assert 0 < raw["p50_seconds"] <= raw["p99_seconds"]
    assert 0 <= raw["caller_cores"] < 8
    assert sum(raw["decoders"].values()) == raw["videos"]
    for network in NETWORKS:
        counted = raw["models"][network]
        assert set(counted["batches"]) == {"1"}  # a short video has one segment and one clip, and a CPU no batches
        assert counted["batches"]["1"] >= max(1, raw["videos"] - 2)  # two may have been computed before
        assert counted["compute_infer"] > 0
    path.write_bytes(b"not a video")
    with pytest.raises(RuntimeError, match=r"InvalidRequest: .*not a video"):
        serving_load.measure(server.url, path, 2, SHORT)


def test_the_sweep_needs_a_gpu_and_exports_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared: list[int] = []

    def prepare() -> tuple[Path, str | None]:
        prepared.append(1)
        raise ExportError("no memory")

    on_gpu = OnGpu("gpu", H200, SHORT, prepare)
    with pytest.raises(Skipped, match="this ONNX Runtime has no CUDA: make setup-gpu"):
        on_gpu.network("motion_backbone", 16)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    for _ in range(2):
        with pytest.raises(ExportError, match="no memory"):
            on_gpu.network("motion_backbone", 16)
    assert prepared == [1]
    without_plans = OnGpu("tensorrt", H200, SHORT, lambda: (tmp_path, "TensorRT is not installed"))
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: True)
    with pytest.raises(Skipped, match="TensorRT is not installed"), without_plans.server(Setting(7, 16, 0)):
        pass
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.main(["sweep", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "sweep: no NVIDIA GPU: nvidia-smi is not installed\n"


def test_the_sweep_measures_networks_with_the_options_that_they_are_served_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[tuple[object, ...]] = []

    def onnxruntime_seconds(*arguments: object) -> float:
        measured.append(arguments)
        return 0.5

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(rates, "onnxruntime_seconds", onnxruntime_seconds)
    raw = OnGpu("gpu", H200, SHORT, lambda: (MODEL_REPOSITORY, None)).network("motion_backbone", 16)
    assert raw == {"clips_per_second": 32, "seconds_a_batch": 0.5}
    network = MODEL_REPOSITORY / "motion_backbone"
    options = attention.cuda_options(network / "config.pbtxt")
    assert measured == [(network / "1" / "model_fp16.onnx", 16, "cuda", SHORT, options)]
    assert options["sdpa_kernel"] == "0"


def test_networks_of_an_earlier_sweep_are_served_with_the_present_configurations(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    (repository / "weights.json").write_text("{}")
    (repository / "motion_head" / "config.pbtxt").write_text("old")
    assert gpu.exported(tmp_path) == (repository, f"{repository} was exported without TensorRT plans: remove it")
    assert (repository / "motion_head" / "config.pbtxt").read_text() != "old"
    assert (repository / "weights.json").read_text() == "{}"
    for network in NETWORKS:
        (repository / network / "1").mkdir(exist_ok=True)
        (repository / network / "1" / "model.plan").write_bytes(b"plan")
    assert gpu.exported(tmp_path) == (repository, None)


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


def test_right_answers_of_another_decoder_are_wrong(reference_videos: dict[str, Path]) -> None:
    video = {"bikes": reference_videos["bikes"]}
    motion, camera = (np.load(REFERENCE / f"{name}_seed0.npz") for name in ("motion", "camera"))
    rows = camera["bikes_mp4/probabilities"].tolist()
    clips = tuple(CameraClip(0.0, 1.0, {str(index): value for index, value in enumerate(row)}) for row in rows)
    score = Score(
        MotionScores(*map(float, motion["bikes_mp4/scores"])),
        clips,
        VideoInfo(10.0, 250, 25.0, 640, 272),
        Weights("a", "b", ()),
        decoder="ffmpeg",
    )
    found = serving.differences(video, {"bikes": score}, "nvdec")["bikes"]
    assert not found.right
    assert found.text.endswith(", decoded by ffmpeg instead of nvdec")
    for decoder in ("nvdec", None):
        assert serving.differences(video, {"bikes": dataclasses.replace(score, decoder="nvdec")}, decoder)[
            "bikes"
        ].right


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


def test_without_a_gpu_every_step_is_skipped_with_a_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.main(["--directory", str(tmp_path / "cache")]) == 1
    printed = capsys.readouterr()
    assert "all other steps need a GPU" in printed.err
    lines = printed.out.partition("\n\n")[2].splitlines()
    rows = {what: (state, reason) for what, state, reason in (line.split("  ", 2) for line in map(_narrow, lines))}
    assert rows.pop("GPU") == ("skipped", "no NVIDIA GPU: nvidia-smi is not installed")
    assert set(rows.values()) == {("skipped", "needs a GPU")}
    assert {
        *("export", "matrices, fp16", "motion_backbone, ONNX Runtime fp16", "camera_classifier, TensorRT fp16"),
        *("NVDEC, 1080p_5s", "NVDEC's clips, bikes", "server", "latency", "answers", "throughput, 1080p_60s"),
    } <= rows.keys()
    assert not (tmp_path / "cache" / "gpu.json").exists()


def _narrow(line: str) -> str:
    """A line of a table with two spaces between its columns."""
    return re.sub(" {2,}", "  ", line)


def test_steps_that_need_the_server_are_skipped_if_it_did_not_start() -> None:
    rows = run_step("latency", partial(gpu._served, [], lambda _server: {"": Figure("fast")}))
    assert table(rows) == "latency  skipped  the server did not start"


def test_compiled_pytorch_is_skipped_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Skipped, match=r"torch\.compile needs a C compiler: install gcc"):
        gpu.Check(tmp_path, SHORT).pytorch("motion_backbone")
    (tmp_path / "gcc").touch(mode=0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(Skipped, match=r"torch\.compile needs Python's headers: install python3-dev"):
        gpu.Check(tmp_path, SHORT).pytorch("motion_backbone")


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
