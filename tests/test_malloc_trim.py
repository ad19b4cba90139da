"""Freed memory returns to the system, in every process of the server that handles large videos."""

import subprocess
import sys
from pathlib import Path

from client import Client
from fixtures.synthetic import encode
from server import Server
from tests.processes import stubs, workers
from video.malloc_trim import OWN_PAGES

FREE_MOST = """
from video.malloc_trim import give_back

def resident_kib():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

kept = [bytes(100_000) for _ in range(1000)]
for piece in range(999):
    kept[piece] = None  # the last one stays, so that the heap cannot shrink
before = resident_kib()
give_back()
print(before, resident_kib())
"""


def variables(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_freed_memory_is_returned() -> None:
    output = subprocess.run([sys.executable, "-c", FREE_MOST], capture_output=True, text=True, check=True).stdout
    before, after = map(int, output.split())
    assert before - after > 60_000


def test_tritonserver_returns_large_allocations_and_workers_reuse_them(server: Server, client: Client) -> None:
    client.score(encode(20))
    for pid in (server.process.pid, *stubs(server.process.pid, "motion_backbone")):
        assert OWN_PAGES.items() <= variables(pid).items()
    for pid in workers(server.process.pid, "video_decode"):
        assert not OWN_PAGES.keys() & variables(pid).keys()
