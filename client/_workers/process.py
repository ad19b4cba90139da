"""Starting and ending a process that reads requests from its standard input and answers on its standard output."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from .answers import Answers

_PACKAGE = __package__.rpartition(".")[0]
_ROOT = Path(__file__).parents[_PACKAGE.count(".") + 2]


def start_worker(module: str) -> subprocess.Popen[bytes]:
    """Start a module of this package, such as `_scenes.worker`. Raises OSError."""
    # -P keeps modules in the current directory from shadowing the worker's imports.
    command = [sys.executable, "-P", "-m", f"{_PACKAGE}.{module}"]
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        process_group=0,  # Ctrl-C is for the command
    )


def end_worker(process: subprocess.Popen[bytes], answers: Answers) -> None:
    """End a worker at once, and wait until it has ended."""
    process.kill()
    process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    answers.close()
