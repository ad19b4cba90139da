"""The processes that a server runs, for the tests that kill or stop them."""

import os
import signal
import time

from video import processes
from video.processes import command_line, find_process, model_of


def descendants(root: int) -> list[int]:
    """The process ids of every child, grandchild and so on of `root`."""
    return [process.pid for process in processes.descendants(root)]


def command(pid: int) -> str:
    """The command line of a process, empty if it has ended."""
    return " ".join(command_line(pid))


def stubs(root: int, model: str) -> list[int]:
    """The processes of Triton's python backend that serve `model` of the server `root`, the newest last.

    Not by pid: pids start again at 32768, after which those of an earlier load are the higher ones.
    """
    found = [process for process in processes.descendants(root) if model_of(process.pid) == model]
    return [process.pid for process in sorted(found, key=lambda process: process.start_ticks)]


def workers(root: int, model: str) -> list[int]:
    """The decoder processes of `model` of the server `root`."""
    return [pid for stub in stubs(root, model) for pid in descendants(stub) if "video.worker" in command(pid)]


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    process = find_process(pid)
    return process is not None and process.state != "Z"


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used; 0 if it has ended."""
    process = find_process(pid)
    return 0.0 if process is None else process.cpu_seconds


def kill_when_busy(pids: list[int], how: signal.Signals) -> None:
    """Send a signal to the first of some idle processes that starts to work."""
    before = {pid: cpu_seconds(pid) for pid in pids}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid in pids:
            if cpu_seconds(pid) > before[pid] + 0.05:
                os.kill(pid, how)
                return
        time.sleep(0.005)
