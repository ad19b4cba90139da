"""`python -m bench`: time and memory of the server beside plain PyTorch, side by side in one run.

For each video, in turn: (a) the published way in plain PyTorch float32, (b) this server over gRPC, (c) bare networks in
the same runtime, (d) bare decoding; then the server again with several requests in flight.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import openvino
from tritonclient import grpc

from bench.memory import PeakMemory, cpu_seconds, proportional_mib, resident_mib
from bench.videos import made_videos
from client import Client
from export.networks import export_networks
from export.recipe import write_camera_checkpoint, write_motion_checkpoint
from server import Server, Settings, running
from server.demo import real_videos

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench"
NETWORKS = ("motion_backbone", "motion_head", "camera_classifier")


@dataclass
class VideoResult:
    """What one video took."""

    name: str
    segments: int = 0
    clips: int = 0
    published_seconds: list[float] = field(default_factory=list)
    published_peak_mib: float = 0.0
    server_seconds: list[float] = field(default_factory=list)
    server_cpu_seconds: list[float] = field(default_factory=list)
    server_above_idle_mib: float = 0.0
    sampling_seconds: list[float] = field(default_factory=list)
    decode_seconds: list[float] = field(default_factory=list)
    network_seconds: list[float] = field(default_factory=list)
    bare_decode_seconds: list[float] = field(default_factory=list)
    bare_network_seconds: list[float] = field(default_factory=list)


@dataclass
class LoadResult:
    """What the server did with several requests in flight."""

    in_flight: int
    videos_per_second: float
    segments_per_second: float
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


def main() -> int:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="The server beside plain PyTorch, in one run.")
    parser.add_argument("--quick", action="store_true", help="the three real videos only, one round")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--precision", choices=("auto", "f32", "bf16"), default="auto", help="of the server")
    parser.add_argument("--without-published", action="store_true", help="leave plain PyTorch out")
    parser.add_argument("--json", type=Path, default=CACHE / "results.json", help="(default: %(default)s)")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    CACHE.mkdir(exist_ok=True)
    repository = prepare()
    videos = real_videos() | ({} if options.quick else made_videos(CACHE))
    results = {name: VideoResult(name) for name in videos}
    settings = Settings.on_free_ports(repository, precision=options.precision)
    started = time.monotonic()
    with running(settings) as server, Client(server.url, timeout_seconds=3600) as client:
        ready_seconds = time.monotonic() - started
        client.score(videos["carphone_pristine"])
        idle_mib = proportional_mib(server.process.pid)
        idle_resident_mib = resident_mib(server.process.pid)
        for round_number in range(options.rounds):
            for name, path in videos.items():
                print(f"bench: round {round_number + 1}, {name}", flush=True)
                if not options.without_published:
                    measure_published(results[name], path)
                measure_server(results[name], path, server, client, idle_resident_mib)
                measure_bare_networks(results[name], repository, options.precision)
                measure_bare_decode(results[name], path)
        loads = [] if options.quick else [measure_load(server, videos, count) for count in (1, 2, 4, 8)]
    report = {
        "machine": machine(),
        "ready_seconds": ready_seconds,
        "idle_mib": idle_mib,
        "client_mib": client_peak_mib(videos["bikes"]),
        "videos": [asdict(result) for result in results.values()],
        "loads": [asdict(load) for load in loads],
    }
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print_report(report)
    print(f"\nwritten to {options.json}")
    return 0


def prepare() -> Path:
    """Checkpoints of the recipe and their export, made once; configurations as they are now."""
    repository = CACHE / "model_repository"
    for source in (ROOT / "model_repository").rglob("*"):
        if source.suffix in (".pbtxt", ".py") or source.name == ".gitkeep":
            target = repository / source.relative_to(ROOT / "model_repository")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    if not (repository / "weights.json").is_file():
        print("bench: writing stand-in checkpoints and exporting them, a few minutes the first time", flush=True)
        write_motion_checkpoint(CACHE / "motion")
        write_camera_checkpoint(CACHE / "camera")
        export_networks(str(CACHE / "motion"), str(CACHE / "camera"), repository)
    return repository


def measure_published(result: VideoResult, path: Path) -> None:
    """(a) in a process of its own; what it prints leaves the loading of networks out."""
    command = [sys.executable, "-m", "bench.published", str(CACHE / "motion"), str(CACHE / "camera"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(f"bench: plain PyTorch failed on {result.name} (status {run.returncode}), out of memory?", flush=True)
        return
    answer = json.loads(run.stdout)
    result.published_seconds.append(answer["seconds"])
    result.published_peak_mib = max(result.published_peak_mib, answer["peak_mib"])


def measure_server(result: VideoResult, path: Path, server: Server, client: Client, idle_mib: float) -> None:
    """(b) one request alone."""
    before, cpu_before = model_seconds(server), cpu_seconds(server.process.pid)
    with PeakMemory(server.process.pid) as memory:
        started = time.perf_counter()
        score = client.score(path)
        result.server_seconds.append(time.perf_counter() - started)
    result.server_cpu_seconds.append(cpu_seconds(server.process.pid) - cpu_before)
    result.server_above_idle_mib = max(result.server_above_idle_mib, memory.peak_mib - idle_mib)
    spent = {name: seconds - before[name] for name, seconds in model_seconds(server).items()}
    result.sampling_seconds.append(spent["video_sampling"])
    result.decode_seconds.append(spent["video_decode"])
    result.network_seconds.append(sum(spent[name] for name in NETWORKS))
    result.segments = int(min(4 * int(score.info.duration_seconds), 240)) // 16 + 1
    result.clips = len(score.camera)


def model_seconds(server: Server) -> dict[str, float]:
    """Seconds that each model of the server has been computing so far, by Triton's own statistics."""
    with grpc.InferenceServerClient(server.url) as triton:
        models = triton.get_inference_statistics().model_stats
    return {
        model.name: sum(
            getattr(model.inference_stats, part).ns for part in ("compute_input", "compute_infer", "compute_output")
        )
        / 1e9
        for model in models
    }


def measure_bare_decode(result: VideoResult, path: Path) -> None:
    """(d) every frame up to the last, decoded and thrown away."""
    started = time.perf_counter()
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    result.bare_decode_seconds.append(time.perf_counter() - started)


def measure_bare_networks(result: VideoResult, repository: Path, precision: str) -> None:
    """(c) the networks on as many clips as the video has, one after the other, in this process."""
    clip = np.random.default_rng(0).integers(0, 256, (1, 16, 224, 224, 3), np.uint8)
    backbone, camera = (_compiled(repository, name, precision) for name in ("motion_backbone", "camera_classifier"))
    for network in (backbone, camera):
        network.infer([clip])
    started = time.perf_counter()
    for _ in range(result.segments):
        backbone.infer([clip])
    for _ in range(result.clips):
        camera.infer([clip])
    result.bare_network_seconds.append(time.perf_counter() - started)


_networks: dict[str, openvino.InferRequest] = {}


def _compiled(repository: Path, name: str, precision: str) -> openvino.InferRequest:
    if name not in _networks:
        hints = {} if precision == "auto" else {"INFERENCE_PRECISION_HINT": precision}
        core = openvino.Core()
        compiled = core.compile_model(repository / name / "1" / "model.onnx", "CPU", hints)
        _networks[name] = compiled.create_infer_request()
    return _networks[name]


def measure_load(server: Server, videos: dict[str, Path], in_flight: int) -> LoadResult:
    """The three real videos, over and over, with so many requests in flight."""
    queue = list(real_videos()) * max(2, in_flight)
    latencies: list[float] = []
    segments = 0

    def ask(name: str) -> None:
        nonlocal segments
        with Client(server.url, timeout_seconds=3600) as client:
            started = time.perf_counter()
            score = client.score(videos[name])
            latencies.append(time.perf_counter() - started)
        segments += int(min(4 * int(score.info.duration_seconds), 240)) // 16 + 1 + len(score.camera)

    print(f"bench: {in_flight} in flight", flush=True)
    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(ask, queue))
    seconds = time.perf_counter() - started
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    return LoadResult(in_flight, len(queue) / seconds, segments / seconds, p50, p95, p99)


def client_peak_mib(path: Path) -> float:
    """Peak memory of a client process that has a whole file in its hands."""
    program = (
        "import sys, client.score; from bench.memory import peak_mib\n"
        "from client.client import _as_tensor; from tritonclient import grpc\n"
        "video = _as_tensor(sys.argv[1]); tensor = grpc.InferInput('VIDEO', list(video.shape), 'UINT8')\n"
        "tensor.set_data_from_numpy(video); print(peak_mib())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(run.stdout)


def machine() -> str:
    """The processor, in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line for line in lines if line.startswith("flags")), "")
    has = [name for name in ("amx_bf16", "avx512_bf16") if name in flags.split()]
    cores = sum(line.startswith("processor") for line in lines)
    return f"{model}, {cores} cores, {', '.join(has) or 'no bf16 instructions'}"


def print_report(report: dict[str, Any]) -> None:
    """The tables that a person reads."""

    def median(values: list[float]) -> float:
        return statistics.median(values) if values else float("nan")

    print(f"\n{report['machine']}")
    print(f"server ready after {report['ready_seconds']:.1f} s, {report['idle_mib']:.0f} MiB idle; ", end="")
    print(f"client {report['client_mib']:.0f} MiB\n")
    print("(a) plain PyTorch float32, (b) this server, (c) bare networks, (d) bare decoding; medians in seconds\n")
    header = (
        f"{'video':>17} {'segments':>8} {'clips':>5} {'(a)':>7} {'(a) MiB':>8} {'(b)':>7} {'(b) MiB':>8} "
        f"{'cpu (b)':>7} {'a/b':>5} {'(c)':>7} {'(d)':>6} {'sample':>6} {'decode':>6} {'else':>6}"
    )
    print(header)
    for video in report["videos"]:
        published, server = median(video["published_seconds"]), median(video["server_seconds"])
        networks, decode = median(video["bare_network_seconds"]), median(video["decode_seconds"])
        sampling = median(video["sampling_seconds"])
        print(
            f"{video['name']:>17} {video['segments']:8d} {video['clips']:5d} {published:7.2f} "
            f"{video['published_peak_mib']:8.0f} {server:7.2f} {video['server_above_idle_mib']:8.0f} "
            f"{median(video['server_cpu_seconds']):7.1f} {published / server:5.2f} {networks:7.2f} "
            f"{median(video['bare_decode_seconds']):6.2f} {sampling:6.2f} {decode:6.2f} "
            f"{server - networks - decode - sampling:6.2f}"
        )
    print("\n(a) MiB: with networks; (b) MiB: above idle. sample, decode: in the server. else: (b) less those and (c).")
    if report["loads"]:
        print(f"\n{'in flight':>9} {'videos/s':>9} {'clips/s':>8} {'p50':>7} {'p95':>7} {'p99':>7}")
    for load in report["loads"]:
        print(
            f"{load['in_flight']:9d} {load['videos_per_second']:9.3f} {load['segments_per_second']:8.3f} "
            f"{load['p50_seconds']:7.2f} {load['p95_seconds']:7.2f} {load['p99_seconds']:7.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
