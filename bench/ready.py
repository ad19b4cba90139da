"""`python -m bench.ready`: how long a server takes from its command to being ready, in each precision.

The first start of each precision compiles the networks, unless they are cached; it is not counted. Wall time is what a
user waits; CPU time, of all its processes, depends less on what else the machine does.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from backends.precision import PRECISIONS
from bench.markdown import table
from bench.memory import cpu_seconds
from server import Settings
from server.readiness import is_ready
from video.processes import descendants, model_of

ROOT = Path(__file__).parent.parent
POLL_SECONDS = 0.05


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.ready", description="Time from start to ready.")
    parser.add_argument("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, metavar="NAME")
    parser.add_argument("--starts", type=int, default=3, metavar="N", help="of each precision (default: %(default)s)")
    parser.add_argument("--parts", action="store_true", help="also say which processes take the CPU time")
    options = parser.parse_args()
    rows = []
    for precision in options.precision:
        start(options.model_repository, precision)
        starts = [start(options.model_repository, precision) for _ in range(options.starts)]
        walls = [wall for wall, _, _ in starts]
        median = f"{statistics.median(walls):.1f} s"
        cpu = statistics.median(cpu for _, cpu, _ in starts)
        rows.append((precision, median, f"{min(walls):.1f} to {max(walls):.1f} s", f"{cpu:.1f} s"))
        print(f"bench: {precision}: {median}", flush=True)
        if options.parts:
            for part, seconds in sorted(starts[-1][2].items(), key=lambda item: -item[1]):
                print(f"    {seconds:5.2f} s of CPU  {part}", flush=True)
    print(table(("precision", "ready after (median)", "range", "CPU time"), rows))
    return 0


def start(model_repository: Path, precision: str) -> tuple[float, float, dict[str, float]]:
    """Seconds from the command to ready, of wall time and of CPU time, and the latter by process; stops the server.

    Raises RuntimeError if it does not get ready.
    """
    settings = Settings.on_free_ports(model_repository)
    environment = os.environ | {
        "HTTP_PORT": str(settings.http_port),
        "GRPC_PORT": str(settings.grpc_port),
        "METRICS_PORT": str(settings.metrics_port),
        "PRECISION": precision,
    }
    command = [sys.executable, "-m", "server", "--model-repository", str(model_repository)]
    started = time.monotonic()
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not is_ready(f"http://127.0.0.1:{settings.http_port}"):
            if server.poll() is not None:
                raise RuntimeError(f"the server ended with status {server.returncode}")
            time.sleep(POLL_SECONDS)
        wall = time.monotonic() - started
        return wall, cpu_seconds(server.pid), by_process(server.pid)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def by_process(root: int) -> dict[str, float]:
    """CPU time of a server's processes so far, those of a model and their decoder processes together."""
    models = {process.pid: model for process in descendants(root) if (model := model_of(process.pid))}
    parts: dict[str, float] = {"python -m server": 0.0}
    for process in descendants(root):
        name = models.get(process.pid) or models.get(process.parent)
        part = f"{name}" if name else Path((process.command or ["?"])[0]).name
        parts[part] = parts.get(part, 0.0) + process.cpu_seconds
    parts["python -m server"] = cpu_seconds(root) - sum(parts.values())
    return parts


if __name__ == "__main__":
    sys.exit(main())
