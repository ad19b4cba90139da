"""`python -m bench.gpu`: check the gpu profile on this machine's GPU, as far as its packages are installed."""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from bench.flop import SHAPES, clip_flop
from bench.gpu import attention, decoding, rates, serving
from bench.gpu.sessions import PROVIDERS
from bench.gpu.steps import Figure, Row, Skipped, run_step, table
from bench.gpu.sweep.command import main as sweep
from bench.videos import CAPACITY, RATE, made_videos
from client import Client
from export import ExportError, PlanRejected
from export.camera_network import load_camera
from export.exporter import FP16_GRAPH, FP16_TOLERANCE, GRAPH
from export.fp16 import Fp16Network
from export.graph import count_nodes
from export.motion_network import load_motion
from export.networks import export_networks
from export.plans import PLAN
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from export.tensorrt import find_builder, name_of_gpu
from fixtures.real_videos import real_videos
from fixtures.stripped import strip
from server import Server, Settings, find_triton, running
from video import Parameters

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".bench" / "gpu"
BATCH = 16
IN_FLIGHT = 16
STREAMS = 7
"""The number of instances of video_decode_nvdec, and so the streams that the server can decode at once."""
TARGET_SHARE = 0.6
"""Goal of the networks at a batch of 16, as a share of the measured matrix rate."""

EPILOG = """\
The weights are random, with seed 0; tests/reference has the published implementation's answers for them. Exit status: 0
if all steps that could run are right, even if slow; 1 if a step is wrong or failed, or the machine has no GPU.

`python -m bench.gpu sweep` measures throughput with many configurations, and recommends one; it has a --help."""


class Check:
    """The steps, and what they share: a model repository, rates of the GPU, the duration of measurements."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.seconds = seconds
        self.repository = directory / "model_repository"
        self.matrix_rate: float | None = None
        self.no_gpu: str | None = None
        self.no_plans: str | None = None
        self.rows: list[Row] = []

    def step(self, what: str, function: Callable[[], dict[str, Figure]]) -> None:
        """Run a step and print its rows; without a GPU, it is skipped."""
        rows = run_step(what, function) if self.no_gpu is None else [Row(what, "skipped", self.no_gpu)]
        print(table(rows), flush=True)
        self.rows += rows

    def gpu(self) -> dict[str, Figure]:
        """Name, memory and driver of the GPU."""
        if shutil.which("nvidia-smi") is None:
            raise Skipped("no NVIDIA GPU: nvidia-smi is not installed")
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        return {"": Figure(subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0])}

    def export(self) -> dict[str, Figure]:
        """Export random weights, with TensorRT plans if this machine can build them."""
        target = "tensorrt"
        try:
            find_builder()
            name_of_gpu()
        except ExportError as error:
            target, self.no_plans = "gpu", str(error)
        if not (self.directory / "camera").is_dir():
            write_motion_checkpoint(self.directory / "motion")
            write_camera_checkpoint(self.directory / "camera")
        shutil.copytree(ROOT / "model_repository", self.repository, dirs_exist_ok=True, ignore=_exported)
        sources = str(self.directory / "motion"), str(self.directory / "camera")
        rejected: dict[str, Figure] = {}
        try:
            export_networks(*sources, self.repository, target=target)
        except PlanRejected as error:
            rejected = {"TensorRT's plans": Figure(str(error), right=False)}
            target, self.no_plans = "gpu", str(error)
            export_networks(*sources, self.repository, target=target)
        return {"": Figure(f"for {target}")} | rejected

    def matrices(self) -> dict[str, Figure]:
        """The matrix rate, which the rates of networks are compared with."""
        _need_torch()
        self.matrix_rate = rates.matrix_rate("cuda", self.seconds)
        return {
            "": Figure(f"{self.matrix_rate / 1e12:.0f} TFLOP/s (PyTorch, {rates.MATRIX_WIDTH} x {rates.MATRIX_WIDTH})")
        }

    def onnxruntime(self, name: str) -> dict[str, Figure]:
        """A network as in the gpu profile."""
        path, options = self._served(name)
        return self._rate(name, rates.onnxruntime_seconds(path, BATCH, "cuda", self.seconds, options), TARGET_SHARE)

    def attention(self, name: str) -> dict[str, Figure]:
        """Which kernels ONNX Runtime computes a network's attention with."""
        path, options = self._served(name)
        found = attention.choices(attention.printed(path, BATCH, "cuda", options))
        nodes = count_nodes(path, "MultiHeadAttention")
        return {"": attention.verdict(found, nodes, name_of_gpu().rsplit(", ", 1)[1])}

    def tensorrt(self, name: str) -> dict[str, Figure]:
        """A network as in the tensorrt profile."""
        if self.no_plans is not None:
            raise Skipped(self.no_plans)
        if importlib.util.find_spec("tensorrt") is None:
            raise Skipped("the plan is built, but the Python package tensorrt that would run it is not installed")
        _need_torch()
        files = self.repository / name / "1"
        seconds, found = rates.tensorrt_seconds(files / PLAN, BATCH, self.seconds)
        off = float(np.abs(found - rates.onnxruntime_output(files / GRAPH, BATCH)).max())
        difference = Figure(f"{off:.4f} from float32 (bound {FP16_TOLERANCE})", right=off < FP16_TOLERANCE)
        return self._rate(name, seconds, TARGET_SHARE) | {"output": difference}

    def pytorch(self, name: str) -> dict[str, Figure]:
        """A network in PyTorch, compiled, in bfloat16: the baseline for the other runtimes."""
        _need_torch()
        _need_compiler()
        network: Fp16Network
        if name == "motion_backbone":
            network = load_motion(self.directory / "motion")[0]
        else:
            network = load_camera(self.directory / "camera").network
        network.to_fp16(torch.bfloat16)
        return self._rate(name, rates.torch_seconds(network, BATCH, "cuda", self.seconds, compiled=True))

    def nvdec(self, path: Path, frames: int) -> dict[str, Figure]:
        """Rate of decoding alone."""
        _need_dali()
        found = decoding.frames_per_second(path.read_bytes(), frames, "mixed", STREAMS, self.seconds)
        return {"": Figure(f"{found:.0f} frames/s ({STREAMS} videos at once)")}

    def clips(self, path: Path) -> dict[str, Figure]:
        """Difference between the clips of the gpu and the cpu profile for a real video, stripped as in the server."""
        _need_dali()
        from backends.dali_definition import pipeline_definition

        edge = json.loads((self.repository / "weights.json").read_text())["shortest_edge"]
        definition = pipeline_definition(self.repository / "video_decode_nvdec" / "1" / "dali.py")
        video, parameters = path.read_bytes(), Parameters()
        stripped = strip(video, parameters)
        if not stripped.content:
            raise Skipped("the reader makes no stripped file of this video")
        _, found, expected = decoding.both_decoders(video, definition, "mixed", edge, parameters, stripped=stripped)
        worst = float(decoding.frame_differences(found, expected).max())
        return {
            "": Figure(f"the worst frame differs from the cpu profile by {worst:.2f} of 255 (bound 1)", right=worst < 1)
        }

    def serve(self, stack: ExitStack, servers: list[Server]) -> dict[str, Figure]:
        """Start a server, which `stack` stops, and add it to `servers`."""
        triton = find_triton()
        if triton.profile() != "gpu":
            raise Skipped(triton.notice() or "this Triton has no gpu profile")
        settings = Settings.on_free_ports(self.repository, ready_timeout_seconds=900.0)
        servers.append(stack.enter_context(running(settings)))
        return {
            "": Figure("native backends" if triton.backend_directory is None else "Python-based backends, from pip")
        }

    def latency(self, server: Server) -> dict[str, Figure]:
        """Latency of the first and the tenth request."""
        return {"": serving.first_and_tenth(server, real_videos()["bikes"])}

    def throughput(self, server: Server, video: Path) -> dict[str, Figure]:
        """Videos a second for one video."""
        return {"": serving.videos_per_second(server, [video], IN_FLIGHT, self.seconds)}

    def answers(self, server: Server) -> dict[str, Figure]:
        """Differences from the reference figures for the three real videos."""
        videos = real_videos()
        with Client(server.url, timeout_seconds=600) as client:
            scores = {name: client.score(path) for name, path in videos.items()}
        return serving.differences(videos, scores, "nvdec")

    def _served(self, name: str) -> tuple[Path, dict[str, str]]:
        """The file of a network in the gpu profile, and ONNX Runtime's options for it."""
        if PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
            raise Skipped("this ONNX Runtime has no CUDA: make setup-gpu")
        files = self.repository / name
        return files / "1" / FP16_GRAPH, attention.cuda_options(files / "config.pbtxt")

    def _rate(self, name: str, seconds: float, goal: float = 0.0) -> dict[str, Figure]:
        flop = clip_flop(name) * BATCH / seconds
        text = f"{flop / 1e12:.0f} TFLOP/s, {BATCH / seconds:.0f} clips/s at a batch of {BATCH}"
        if self.matrix_rate is None:
            return {"": Figure(text)}
        share = flop / self.matrix_rate
        goal_text = f" (goal: {goal:.0%})" if goal else ""
        return {"": Figure(f"{text}, {share:.0%} of the matrix rate{goal_text}", fast=share >= goal)}


def main(arguments: list[str] | None = None) -> int:
    """Run every step, print the table, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["sweep"]:
        return sweep(arguments[1:], exported)
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="duration of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--directory", type=Path, default=CACHE, help="for networks, videos and results (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    check = Check(options.directory, options.seconds)
    check.step("GPU", check.gpu)
    if check.rows[-1].state != "ok":
        check.no_gpu = "needs a GPU"
    options.directory.mkdir(parents=True, exist_ok=True)
    check.step("export", check.export)
    check.step("matrices, fp16", check.matrices)
    for name in SHAPES:
        check.step(f"{name}, ONNX Runtime fp16", partial(check.onnxruntime, name))
        check.step(f"{name}, ONNX Runtime's attention", partial(check.attention, name))
        check.step(f"{name}, TensorRT fp16", partial(check.tensorrt, name))
        check.step(f"{name}, PyTorch bf16 compiled", partial(check.pytorch, name))
    names = [made.name for made in CAPACITY]
    # Without a GPU, no step opens them.
    videos = dict.fromkeys(names, CACHE) if check.no_gpu else made_videos(options.directory, names, CAPACITY)
    for made in CAPACITY:
        if made.seconds == 5:
            check.step(f"NVDEC, {made.name}", partial(check.nvdec, videos[made.name], made.seconds * RATE))
    for name, path in real_videos().items():
        check.step(f"NVDEC's clips, {name}", partial(check.clips, path))
    with ExitStack() as stack:
        servers: list[Server] = []
        check.step("server", partial(check.serve, stack, servers))
        check.step("latency", partial(_served, servers, check.latency))
        check.step("answers", partial(_served, servers, check.answers))
        for name, path in videos.items():
            check.step(f"throughput, {name}", partial(_served, servers, partial(check.throughput, video=path)))
    print(f"\n{table(check.rows)}")
    if check.no_gpu:
        print("gpu-check: all other steps need a GPU", file=sys.stderr)
        return 1
    (options.directory / "gpu.json").write_text(json.dumps([asdict(row) for row in check.rows], indent=2) + "\n")
    if check.matrix_rate is None:
        print("gpu-check: goals were not checked, because the matrix rate could not be measured", file=sys.stderr)
    return 0 if all(row.state in ("ok", "slow", "skipped") for row in check.rows) else 1


def exported(directory: Path) -> tuple[Path, str | None]:
    """The model repository below a directory, exported unless it has networks; why it has no TensorRT plans, if so."""
    check = Check(directory, 0.0)
    if not (check.repository / "weights.json").is_file():
        check.export()
        return check.repository, check.no_plans
    shutil.copytree(ROOT / "model_repository", check.repository, dirs_exist_ok=True, ignore=_exported)
    has_plans = all((check.repository / name / "1" / PLAN).is_file() for name in SHAPES)
    return check.repository, None if has_plans else f"{check.repository} was exported without TensorRT plans: remove it"


def _served(servers: list[Server], function: Callable[[Server], dict[str, Figure]]) -> dict[str, Figure]:
    """A step that needs the server, which is the only one of `servers` if it has started."""
    if not servers:
        raise Skipped("the server did not start")
    return function(servers[0])


def _need_dali() -> None:
    if importlib.util.find_spec("nvidia") is None or importlib.util.find_spec("nvidia.dali") is None:
        raise Skipped("DALI is not installed: make setup-gpu")


def _need_torch() -> None:
    if not torch.cuda.is_available():
        raise Skipped("this PyTorch has no CUDA")


def _need_compiler() -> None:
    """What PyTorch compiles for a GPU starts from C code, which is compiled there and then."""
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "gcc", "clang")))):
        raise Skipped("torch.compile needs a C compiler: install gcc")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise Skipped("torch.compile needs Python's headers: install python3-dev")


def _exported(directory: str, names: list[str]) -> set[str]:
    """Names not to copy from the project's model repository: networks of another export."""
    kept = (".pbtxt", ".py", "")
    return {name for name in names if Path(directory, name).is_file() and os.path.splitext(name)[1] not in kept}


if __name__ == "__main__":
    sys.exit(main())
