"""The server with one setting, and what it did while a load ran."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.gpu.steps import Skipped
from bench.gpu.sweep import configurations, statistics
from bench.gpu.sweep.activity import Activity
from bench.gpu.sweep.grid import Setting
from server import Server, Settings, find_triton, running

ROOT = Path(__file__).parents[3]
CONFIG_NAME = "sweep"
READY_SECONDS = 900.0


@contextmanager
def serving(repository: Path, profile: str, setting: Setting) -> Iterator[Server]:
    """A server of the gpu or tensorrt profile with a setting; `Skipped` if this machine has none of that profile.

    Callers reach tritonserver itself: the proxy would hold back requests above its own limit.
    """
    triton = find_triton()
    if triton.profile() != "gpu":
        raise Skipped(triton.notice() or "this Triton has no gpu profile")
    if profile == "tensorrt" and triton.backend_directory is not None:
        raise Skipped("the tensorrt profile needs NVIDIA's container")
    configurations.write(repository, profile, CONFIG_NAME, setting, "Being measured by `python -m bench.gpu sweep`.")
    with _triton_flags(f"--model-config-name={CONFIG_NAME}"):
        settings = Settings.on_free_ports(repository, ready_timeout_seconds=READY_SECONDS, proxy=False)
        with running(settings) as server:
            yield server


@contextmanager
def _triton_flags(flags: str) -> Iterator[None]:
    before = os.environ.get("TRITON_FLAGS")
    os.environ["TRITON_FLAGS"] = f"{before or ''} {flags}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TRITON_FLAGS"]
        else:
            os.environ["TRITON_FLAGS"] = before


def measure(url: str, video: Path, in_flight: int, seconds: float, gpu: str = "0") -> dict[str, Any]:
    """What `bench.gpu.sweep.load` counts, Triton's statistics (`models`) and the activity of `gpu`, an index or UUID.

    RuntimeError if a request fails.
    """
    command = [sys.executable, "-m", "bench.gpu.sweep.load", url, str(video), str(in_flight), str(seconds)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        assert load.stderr is not None
        try:
            counted = None
            if load.stdout.readline() == "warm\n":
                before = statistics.read(url)
                with Activity(gpu) as activity:
                    load.stdin.write("\n")
                    load.stdin.flush()
                    counted = load.stdout.readline()
                models = statistics.between(before, statistics.read(url)) if counted else {}
            error = load.stderr.read().strip()
        except BaseException:
            load.kill()
            raise
    if not counted:
        raise RuntimeError(error.splitlines()[-1] if error else f"the load ended with status {load.returncode}")
    return json.loads(counted) | {"models": models, "activity": activity.samples}
