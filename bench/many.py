"""`python -m bench.many`: thousands of small videos through the client: kills, memory, load and a lost server.

The networks are tiny, because the client is measured: the server only has to answer.
"""

import argparse
import asyncio
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from backends.compute_lock import shared_path
from bench.memory import cpu_seconds
from client import AsyncClient, Client, ClientError
from client._tables.table import read_table
from export.random_weights import write_camera_checkpoint, write_motion_checkpoint
from server import Server, Settings, running

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench" / "many"
SERVER_LOG = CACHE / "server.log"
BROKEN_EVERY = 40


def main() -> int:
    """Run one part, print its figures, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.many", description="Measure the client on many videos.")
    parser.add_argument("--videos", type=int, default=2000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=4, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "part",
        choices=("kills", "memory", "busy", "two"),
        help="kills: kill a run three times; memory: peak memory of a run; busy: share of time that the networks "
        "compute; two: kill one of two servers",
    )
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if options.part == "busy":
        return busy()
    if options.part == "two":
        return two()
    folder = videos(options.videos)
    with supervised(repository("tiny", width=48, depth=2)) as (url, _):
        return (kills if options.part == "kills" else memory)(folder, url, options.in_flight)


def videos(count: int) -> Path:
    """A folder of `count` videos of 1 to 3 seconds; every fortieth is broken, in one of four ways."""
    folder = CACHE / f"videos_{count}"
    if folder.is_dir():
        return folder
    print(f"bench: writing {count} videos", flush=True)
    good = [encode(seconds, size) for seconds in (1, 2, 3) for size in (96, 160)]
    partial = folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    broken = [b"", b"not a video\n", good[2][: len(good[2]) // 2], good[0][:-2000]]
    for index in range(count):
        is_broken = index % BROKEN_EVERY == BROKEN_EVERY - 1
        content = broken[index // BROKEN_EVERY % len(broken)] if is_broken else good[index % len(good)]
        (partial / f"{index:06}.mp4").write_bytes(content)
    return partial.rename(folder)


def encode(seconds: int, size: int) -> bytes:
    """A small H.264 video of moving waves."""
    path = CACHE / "encoded.mp4"
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = size * 3 // 2, size, "yuv420p"
        y, x = np.mgrid[0:size, 0 : size * 3 // 2]
        for index in range(25 * seconds):
            waves = np.sin(x / 9 + index / 5) + np.cos(y / 7 - index / 8)
            frame = av.VideoFrame.from_ndarray(np.repeat((waves * 60 + 128).astype(np.uint8)[..., None], 3, 2), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def repository(name: str, *, width: int, depth: int, patch: int = 16) -> Path:
    """A model repository with random networks of this size, for the cpu profile; `patch` in pixels."""
    directory = CACHE / name
    target = directory / "model_repository"
    # Copy the configurations every time: they may be newer than the exported networks.
    for source in (ROOT / "model_repository").rglob("*"):
        if source.is_file() and (source.suffix in (".pbtxt", ".py") or source.parent.name == "warmup"):
            copy = target / source.relative_to(ROOT / "model_repository")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    if not (target / "weights.json").is_file():
        print(f"bench: exporting {name} networks", flush=True)
        for model in (ROOT / "model_repository").iterdir():
            (target / model.name / "1").mkdir(parents=True, exist_ok=True)
        write_motion_checkpoint(
            directory / "motion", width=width, depth=depth, head_depth=1, patch=patch, use_sigmoid=True
        )
        write_camera_checkpoint(directory / "camera", width=width, depth=depth, heads=width // 16, patch=patch)
        from export.networks import export_networks  # PyTorch takes seconds to import

        export_networks(str(directory / "motion"), str(directory / "camera"), target, target="cpu")
    return target


@contextmanager
def supervised(model_repository: Path, settings: Settings | None = None) -> Iterator[tuple[str, int]]:
    """Address and process id of a supervised server, as `make serve` starts it; `settings` choose its ports."""
    settings = settings or Settings.on_free_ports(model_repository)
    ports = {"HTTP_PORT": settings.http_port, "GRPC_PORT": settings.grpc_port, "METRICS_PORT": settings.metrics_port}
    environment = os.environ | {name: str(port) for name, port in ports.items()} | {"PRECISION": "f32"}
    command = [sys.executable, "-m", "server", "--model-repository", str(model_repository)]
    with SERVER_LOG.open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            with Client(f"localhost:{settings.grpc_port}", timeout_seconds=5) as client:
                while not client.is_ready():
                    if server.poll() is not None:
                        raise SystemExit(f"the server ended before it was ready:\n{SERVER_LOG.read_text()[-2000:]}")
                    time.sleep(0.2)
            yield f"localhost:{settings.grpc_port}", server.pid
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()
    print(f"bench: tritonserver was started {SERVER_LOG.read_text().count('server: starting')} times")


def score(folder: Path, url: str, output: Path, in_flight: int) -> subprocess.Popen[bytes]:
    """Start `client.score` on `folder`."""
    command = [sys.executable, "-m", "client.score", str(folder), "--url", url, "--output", str(output)]
    command += ["--in-flight", str(in_flight), "--max-clips", "1"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def kills(folder: Path, url: str, in_flight: int) -> int:
    """Kill a run three times and let the fourth finish; status 0 if the table has every video exactly once."""
    output = CACHE / "killed.parquet"
    for left in (output, output.with_name(f"{output.name}.journal")):
        left.unlink(missing_ok=True)
    choose = random.Random(0)
    started = time.monotonic()
    for _ in range(3):
        with score(folder, url, output, in_flight) as run:
            time.sleep(5 + 15 * choose.random())
            run.kill()
            print(f"bench: killed after {time.monotonic() - started:.0f} s, status {run.wait()}", flush=True)
    with score(folder, url, output, in_flight) as run:
        run.wait()
    table = read_table(output).to_pylist()
    seconds = time.monotonic() - started
    counts = Counter(row["video"] for row in table)
    expected = {str(path) for path in folder.iterdir()}
    kinds = Counter((row["error_kind"], row["error"]) for row in table if row["error"])
    print(f"bench: {len(table)} rows of {len(expected)} videos in {seconds:.0f} s, exit status {run.returncode}")
    print(f"bench: {len(expected - counts.keys())} videos lost, {sum(count > 1 for count in counts.values())} twice")
    for (kind, error), count in kinds.items():
        print(f"bench: {count} {kind}: {error}")
    whole = counts.keys() == expected and max(counts.values()) == 1
    return 0 if whole and sum(kinds.values()) == len(expected) // BROKEN_EVERY else 1


def memory(folder: Path, url: str, in_flight: int) -> int:
    """Peak memory of the client; compare few `--videos` with many."""
    output = CACHE / "memory.parquet"
    journal = output.with_name(f"{output.name}.journal")
    output.unlink(missing_ok=True)
    journal.unlink(missing_ok=True)
    started = time.monotonic()
    with score(folder, url, output, in_flight) as run:
        peak, cpu = 0.0, 0.0
        while run.poll() is None:
            lines = Path(f"/proc/{run.pid}/status").read_text().splitlines()
            peak = max([peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))])
            cpu = max(cpu, cpu_seconds(run.pid))
            time.sleep(0.02)
    seconds, count = time.monotonic() - started, read_table(output).num_rows
    print(
        f"bench: {count} videos: {peak:.1f} MiB at most, {count / seconds:.1f} videos/s, {cpu / count * 1000:.1f} ms "
        f"of CPU per video in the client, table {output.stat().st_size} bytes, journal {journal.stat().st_size}"
    )
    return 0


def busy(seconds: float = 60.0) -> int:
    """The share of time that a network computes while the asyncio client has 16 requests in flight."""
    clip = encode(2, 160)
    # Large enough to dominate the cost of a video, as the published ones do, and small enough for many videos a minute.
    settings = Settings.on_free_ports(repository("small", width=384, depth=12), precision="f32")
    with running(settings) as server:
        answered, wall, share = asyncio.run(_load(server, clip, seconds))
    print(f"bench: {answered} videos in {wall:.1f} s with 16 in flight")
    print(f"bench: a network computes {100 * share:.1f} % of the time")
    return 0 if share > 0.9 else 1


def two(seconds: float = 20.0) -> int:
    """Videos a second with two servers, after one of them is killed, and with one server from the start."""
    clip = encode(2, 160)
    small = repository("tiny", width=48, depth=2)
    answered: list[float] = []
    failed: list[str] = []
    with supervised(small) as (kept, _), supervised(small) as (lost, process):
        end = time.monotonic() + 2 * seconds

        def ask(client: Client) -> None:
            while time.monotonic() < end:
                try:
                    client.score(clip)
                    answered.append(time.monotonic())
                except ClientError as error:
                    failed.append(str(error))

        with Client([kept, lost]) as client, ThreadPoolExecutor(8) as callers:
            asked = [callers.submit(ask, client) for _ in range(8)]
            time.sleep(seconds)
            os.kill(process, signal.SIGKILL)
            killed = time.monotonic()
            wait(asked)
        alone_from, end = time.monotonic(), time.monotonic() + seconds
        with Client(kept) as client, ThreadPoolExecutor(8) as callers:
            wait([callers.submit(ask, client) for _ in range(8)])
    both, one, alone = (
        sum(start <= at < stop for at in answered) / (stop - start)
        for start, stop in ((killed - seconds, killed), (killed, alone_from), (alone_from, end))
    )
    print(f"bench: {both:.1f} videos/s with two servers, {one:.1f} after one is killed, {alone:.1f} with one server")
    print(f"bench: {len(failed)} of {len(failed) + len(answered)} videos failed {Counter(failed)}")
    return 0 if not failed else 1


async def _load(server: Server, video: bytes, seconds: float) -> tuple[int, float, float]:
    answered = 0
    async with AsyncClient(server.url, max_in_flight=16) as client:
        end = time.monotonic() + seconds + 5

        async def ask() -> None:
            nonlocal answered
            while time.monotonic() < end:
                await client.score(video)
                answered += 1

        callers = [asyncio.create_task(ask()) for _ in range(16)]
        await asyncio.sleep(5)  # until all are in flight
        started, answered = time.monotonic(), 0
        share = await asyncio.to_thread(share_of_turns, server.process.pid, seconds - 5)
        done, wall = answered, time.monotonic() - started
        await asyncio.gather(*callers)
    return done, wall, share


def share_of_turns(tritonserver: int, seconds: float) -> float:
    """The share of time that some network holds the compute lock, sampled 100 times a second.

    Triton's statistics would include the time that an instance waits for the lock.
    """
    taken = looks = 0
    end = time.monotonic() + seconds
    with open(shared_path("turn0", tritonserver)) as turn:
        while time.monotonic() < end:
            looks += 1
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(turn, fcntl.LOCK_UN)
            except BlockingIOError:
                taken += 1
            time.sleep(0.01)
    return taken / looks


if __name__ == "__main__":
    sys.exit(main())
