"""`python -m bench`: time and memory of the server compared with plain PyTorch, in one run.

It measures for each video: (a) the published code in plain PyTorch float32, (b) this server over gRPC, (c) the networks
alone in the server's runtime, (d) decoding alone. Then it measures the server with several requests in flight.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import openvino
from tritonclient import grpc

from backends.precision import PRECISIONS, precision_of_this_cpu
from bench.memory import PeakMemory, cpu_seconds, proportional_mib, resident_mib
from bench.networks import BareNetworks
from bench.report import plot_loads, print_report
from bench.results import LoadResult, Report, ServerResult, VideoResult
from bench.videos import MADE, made_videos
from client import Client
from export.networks import export_networks
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from fixtures.real_videos import NAMES as REAL_VIDEOS
from fixtures.real_videos import real_videos
from server import Server, Settings, running
from video import Parameters
from video.clips import CLIP_FRAMES

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench"
NETWORKS = ("motion_backbone", "motion_head", "camera_classifier")
IN_FLIGHT = (1, 2, 4, 8)
ALL_VIDEOS = (*REAL_VIDEOS, *(made.name for made in MADE))


def main() -> int:
    """Run the benchmark, print its tables, write the results as JSON and draw the plot."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare the server with plain PyTorch.")
    parser.add_argument("--quick", action="store_true", help="only the three real videos, one request at a time")
    parser.add_argument(
        "--videos", nargs="+", choices=ALL_VIDEOS, metavar="NAME", help=f"any of {', '.join(ALL_VIDEOS)}"
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often to measure each video (default: %(default)s)")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS[1:], help="of the server (default: all that this CPU supports)"
    )
    parser.add_argument("--without-published", action="store_true", help="do not measure plain PyTorch")
    parser.add_argument("--without-load", action="store_true", help="do not measure several requests in flight")
    parser.add_argument(
        "--json", type=Path, default=CACHE / "results.json", help="where to write the results (default: %(default)s)"
    )
    options = parser.parse_args()
    precisions = options.precision or ["f32", "int8", *(["bf16"] if "BF16" in _capabilities() else [])]
    names = options.videos or (REAL_VIDEOS if options.quick else ALL_VIDEOS)
    repository = prepare()
    videos = {name: path for name, path in (real_videos() | made_videos(CACHE, names)).items() if name in names}
    report = Report(machine(), precision_of_this_cpu() if len(precisions) > 1 else precisions[0])
    report.videos = [VideoResult(name) for name in videos]
    report.client_mib = client_peak_mib(real_videos()["bikes"])
    for round_number in range(options.rounds):
        for precision in precisions:
            print(f"bench: round {round_number + 1}, {precision}", flush=True)
            # Measure (a) once a round, between the videos of the server.
            published = precision == precisions[0] and not options.without_published
            measure_precision(report, repository, videos, precision, published=published)
            options.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
    if not options.quick and not options.without_load:
        measure_loads(report, repository)
        plot_loads(report.loads, options.json.with_suffix(".png"))
    options.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
    print_report(report)
    print(f"\nresults are in {options.json}")
    return 0


def prepare() -> Path:
    """The model repository: random weights, exported once, and the current configurations."""
    CACHE.mkdir(exist_ok=True)
    repository = CACHE / "model_repository"
    for source in (ROOT / "model_repository").rglob("*"):
        if source.suffix in (".pbtxt", ".py") or source.name == ".gitkeep":
            target = repository / source.relative_to(ROOT / "model_repository")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    if not (repository / "weights.json").is_file() or not list(repository.glob("*/1/model_int8.xml")):
        print(
            "bench: writing checkpoints with random weights and exporting them, which takes ten minutes the first time",
            flush=True,
        )
        write_motion_checkpoint(CACHE / "motion")
        write_camera_checkpoint(CACHE / "camera")
        sources = str(CACHE / "motion"), str(CACHE / "camera")
        export_networks(*sources, repository, target="cpu", calibration_videos=list(real_videos().values()))
    return repository


def measure_precision(
    report: Report, repository: Path, videos: dict[str, Path], precision: str, *, published: bool
) -> None:
    """A round of one precision: every video on its own server, and (a), (c) and (d)."""
    bare = BareNetworks(repository, precision)
    if precision not in report.rates:
        report.rates[precision] = bare.rates()
    settings = Settings.on_free_ports(repository, precision=precision)
    with running(settings):
        pass  # compiles the networks, unless they are cached
    for video in report.videos:
        print(f"bench: {video.name}", flush=True)
        path = videos[video.name]
        if published:
            measure_published(video, path)
            measure_bare_decode(video, path)
        # Each video has its own server, because memory stays allocated after a video.
        started = time.monotonic()
        with running(settings) as server, Client(server.url, timeout_seconds=3600) as client:
            report.ready_seconds[precision] = time.monotonic() - started
            client.score(real_videos()["carphone_pristine"], max_frames=1, max_clips=1)  # the first request is slower
            report.idle_mib[precision] = proportional_mib(server.process.pid)
            result = video.servers.setdefault(precision, ServerResult())
            before = bare.seconds_of_both()
            measure_server(video, result, path, server, client)
            # Measured before and after, because the speed of a machine drifts.
            per_segment, per_clip = (
                (first + second) / 2 for first, second in zip(before, bare.seconds_of_both(), strict=True)
            )
            result.bare_network_seconds.append(video.segments * per_segment + video.clips * per_clip)


def measure_published(video: VideoResult, path: Path) -> None:
    """(a) in its own process; the time does not include loading the networks."""
    command = [sys.executable, "-m", "bench.published", str(CACHE / "motion"), str(CACHE / "camera"), str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(f"bench: plain PyTorch failed on {video.name} (status {run.returncode}), out of memory?", flush=True)
        video.published_failures += 1
        return
    answer = json.loads(run.stdout)
    video.published_seconds.append(answer["seconds"])
    video.published_peak_mib = max(video.published_peak_mib, answer["peak_mib"])


def measure_server(video: VideoResult, result: ServerResult, path: Path, server: Server, client: Client) -> None:
    """(b) with one request in flight."""
    before, cpu_before = model_seconds(server), cpu_seconds(server.process.pid)
    idle_mib = resident_mib(server.process.pid)
    with PeakMemory(server.process.pid) as memory:
        started = time.perf_counter()
        score = client.score(path)
        result.seconds.append(time.perf_counter() - started)
    result.cpu_seconds.append(cpu_seconds(server.process.pid) - cpu_before)
    result.above_idle_mib = max(result.above_idle_mib, memory.peak_mib - idle_mib)
    spent = {name: seconds - before[name] for name, seconds in model_seconds(server).items()}
    result.sampling_seconds.append(spent["video_sampling"])
    result.decode_seconds.append(spent["video_decode"])
    result.network_seconds.append(sum(spent[name] for name in NETWORKS))
    parameters = Parameters()
    frames = min(parameters.fps * int(score.info.duration_seconds), parameters.max_frames)
    video.segments = int(frames) // CLIP_FRAMES + 1
    video.clips = len(score.camera)


def model_seconds(server: Server) -> dict[str, float]:
    """Seconds that each model of the server has computed so far, from Triton's statistics."""
    with grpc.InferenceServerClient(server.url, channel_args=[("grpc.enable_http_proxy", 0)]) as triton:
        models = triton.get_inference_statistics().model_stats
    return {
        model.name: sum(
            getattr(model.inference_stats, part).ns for part in ("compute_input", "compute_infer", "compute_output")
        )
        / 1e9
        for model in models
    }


def measure_bare_decode(video: VideoResult, path: Path) -> None:
    """(d) decode every frame and discard it."""
    started = time.perf_counter()
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    video.bare_decode_seconds.append(time.perf_counter() - started)


def measure_loads(report: Report, repository: Path) -> None:
    """(b) with several requests in flight; (c) and (d) are measured before and after each run."""
    precision = report.load_precision
    bare = BareNetworks(repository, precision)
    settings = Settings.on_free_ports(repository, precision=precision)
    with running(settings) as server, Client(server.url, timeout_seconds=3600) as client:
        sizes = {}
        for name, path in real_videos().items():
            video = VideoResult(name)
            measure_server(video, ServerResult(), path, server, client)
            sizes[name] = video
        for in_flight in IN_FLIGHT:
            print(f"bench: {in_flight} in flight", flush=True)
            before = bare_seconds(bare, sizes)
            load = measure_load(server, sizes, in_flight, repeats=max(1, in_flight // 2))
            after = bare_seconds(bare, sizes)
            load.share_of_bare *= (before + after) / 2
            report.loads.append(load)


def bare_seconds(bare: BareNetworks, sizes: dict[str, VideoResult]) -> float:
    """Seconds of (c) plus (d) for the three real videos."""
    per_segment, per_clip = bare.seconds_of_both()
    seconds = 0.0
    for name, video in sizes.items():
        measure_bare_decode(video, real_videos()[name])
        seconds += video.segments * per_segment + video.clips * per_clip + video.bare_decode_seconds[-1]
    return seconds


def measure_load(server: Server, sizes: dict[str, VideoResult], in_flight: int, repeats: int) -> LoadResult:
    """Score the three real videos `repeats` times with `in_flight` requests in flight.

    `share_of_bare` of the result must still be multiplied by the seconds of (c) plus (d).
    """
    queue = list(sizes) * repeats
    paths = real_videos()

    def ask(name: str) -> float:
        with Client(server.url, timeout_seconds=3600) as client:
            started = time.perf_counter()
            client.score(paths[name])
            return time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        latencies = list(pool.map(ask, queue))
    seconds = time.perf_counter() - started
    clips = sum(sizes[name].segments + sizes[name].clips for name in queue)
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    return LoadResult(in_flight, len(queue) / seconds, clips / seconds, p50, p95, p99, repeats / seconds)


def client_peak_mib(path: Path) -> float:
    """Peak memory in MiB of a client process that holds the file at `path` in a request."""
    program = (
        "import sys, client.score; from bench.memory import peak_mib\n"
        "from client._sdk.request import read_video; from tritonclient import grpc\n"
        "video = read_video(sys.argv[1]); tensor = grpc.InferInput('VIDEO', list(video.shape), 'UINT8')\n"
        "tensor.set_data_from_numpy(video); print(peak_mib())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(run.stdout)


def machine() -> str:
    """A description of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line for line in lines if line.startswith("flags")), "")
    has = [name for name in ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni") if name in flags.split()]
    cores = sum(line.startswith("processor") for line in lines)
    return f"{model}, {cores} cores, {', '.join(has) or 'neither bf16 nor int8 instructions'}"


def _capabilities() -> list[str]:
    return openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


if __name__ == "__main__":
    sys.exit(main())
