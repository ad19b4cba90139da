"""VBench's rule for many videos, each measured in its own process."""

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCRIPT = Path(__file__).with_name("measure_flow.py")
TIMEOUT_SECONDS = 300.0


def dynamic(videos: Iterable[str]) -> dict[str, bool | str]:
    """For each video whether it is dynamic, or why that cannot be measured."""
    unique = list(dict.fromkeys(videos))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(unique, pool.map(_measure, unique), strict=True))


def _measure(video: str) -> bool | str:
    # -I keeps modules in the current directory or beside the script from shadowing its imports.
    command = [sys.executable, "-I", str(SCRIPT), str(Path(video).resolve())]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"measuring took more than {TIMEOUT_SECONDS:g} s"
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        return lines[-1] if result.returncode > 0 and lines else "the decoder crashed"
    return result.stdout.strip() == "1"
