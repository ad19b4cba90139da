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
from bench.gpu import decoding, rates, serving
from bench.gpu.steps import Figure, Skipped, run_step, table
from client import CameraClip, Client, MotionScores, Score, VideoInfo, Weights
from export.motion_network import load_motion
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from fixtures.synthetic import encode
from server import Server
from tests.conftest import REFERENCE

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
