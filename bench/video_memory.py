"""`python -m bench.video_memory`: how much memory one video adds to a server, by its length and size.

Every video has a server of its own, with tiny networks: what a video adds is its file, its frames and its clips. The
proxy's part is counted, and shared memory that no process has mapped at the moment, too.
"""

import argparse
import contextlib
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from bench.many import CACHE, repository, supervised
from bench.memory import Sampled, tree
from bench.videos import FAST, MADE, Made, made_videos
from client import Client
from fixtures.real_videos import real_videos
from server.leftovers import PREFIX
from video.processes import find_process, model_of
from video.shared_memory import DIRECTORY

NAMES = ("1080p_60s", "360p_10s", "360p_60s", "360p_600s")
MINUTE = Made("360p_60s", "bikes", 640, 360, 60, "libx264", FAST)
SAMPLES_PER_SECOND = 20
SETTLE_SECONDS = 3.0
"""After the first request: the server gives memory back a moment later."""
DECODERS = "shared memory: between stubs and decoders"


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.video_memory", description="Memory that a video adds.")
    parser.add_argument("--videos", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--in-flight", type=int, default=1, metavar="N", help="of each video (default: %(default)s)")
    parser.add_argument("--parts", action="store_true", help="also say whose memory it is at the peak")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    model_repository = repository("tiny", width=48, depth=2)
    paths = made_videos(CACHE, options.videos, (*MADE, MINUTE))
    for name in options.videos:
        with supervised(model_repository) as (url, pid), Client(url, timeout_seconds=600) as client:
            client.score(real_videos()["carphone_pristine"], max_frames=1, max_clips=1)  # the first request is slower
            time.sleep(SETTLE_SECONDS)
            idle = memory(pid)
            with Peak(pid) as peak:
                score_all(client, paths[name], options.in_flight)
            time.sleep(SETTLE_SECONDS)
            kept = sum(memory(pid).values()) - sum(idle.values())
            file_mib = paths[name].stat().st_size / 2**20
            added = sum(peak.parts.values()) - sum(idle.values())
            print(f"{name}: file {file_mib:.0f} MiB, {added:.0f} MiB above idle, {kept:.0f} MiB kept", flush=True)
            if options.parts:
                for part in sorted(peak.parts, key=lambda part: idle.get(part, 0) - peak.parts[part]):
                    print(f"    {peak.parts[part] - idle.get(part, 0):7.1f} MiB  {part}")
    return 0


def score_all(client: Client, path: Path, in_flight: int) -> None:
    """Score a video as often at once."""
    threads = [threading.Thread(target=client.score, args=(path,)) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def memory(root: int) -> dict[str, float]:
    """MiB of a process tree, by process: private memory and files (PSS), and its shared memory by what it is for.

    Shared memory is counted by what the files in /dev/shm and the memfds of the tree take, mapped or not.
    """
    parts: dict[str, float] = defaultdict(float)
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for path in DIRECTORY.glob(f"video_motion_{root}_*"):
        with contextlib.suppress(FileNotFoundError):  # its call has ended
            status = path.stat()
            found[status.st_dev, status.st_ino] = _kind(path.name), status.st_blocks
    for pid in tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            values = {line.split(":")[0]: int(line.split()[1]) for line in rollup if line.startswith("Pss")}
            parts[_label(pid)] += (values["Pss"] - values["Pss_Shmem"]) / 1024
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(descriptor.path).startswith("/memfd:"):
                    status = os.stat(descriptor.path)
                    found[status.st_dev, status.st_ino] = DECODERS, status.st_blocks
        except (OSError, KeyError):
            continue  # the process has ended, or closed the descriptor
    for kind, blocks in found.values():
        parts[kind] += blocks * 512 / 2**20
    return parts


def _kind(name: str) -> str:
    for part in ("clips", "video"):
        if f"_{part}_" in name.removeprefix(PREFIX):
            return f"shared memory: {part} in files"
    return "shared memory: pools of Triton's stubs"


def _label(pid: int) -> str:
    if model := model_of(pid):
        return f"stub of {model} {pid}"
    process = find_process(pid)
    command = process.command if process is not None else None
    if command and "video.worker" in " ".join(command):
        return f"worker {pid} of {model_of(process.parent) if process is not None else ''}"
    return f"{Path(command[0]).name if command else '?'} {pid}"


class Peak(Sampled):
    """The largest `memory` of a process tree during a `with` block."""

    def __init__(self, root: int) -> None:
        super().__init__(SAMPLES_PER_SECOND)
        self._root = root
        self.parts = memory(root)

    def sample(self) -> None:
        """Take the memory of the moment if it is larger in all."""
        now = memory(self._root)
        if sum(now.values()) > sum(self.parts.values()):
            self.parts = now


if __name__ == "__main__":
    sys.exit(main())
