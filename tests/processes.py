"""Finding the processes that a server runs, for the tests that hurt them."""

import os
import signal
import time
from pathlib import Path

from server import processes
from server.processes import model_of


def descendants(root: int) -> list[int]:
    """The process ids of every child, grandchild and so on of `root`."""
    return [process.pid for process in processes.descendants(root)]


def command(pid: int) -> str:
    """The command line of a process, empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def stubs(root: int, model: str) -> list[int]:
    """The processes of Triton's python backend that serve `model` of the server `root`, the newest last.

    Not by number: numbers start again at 32768, and then what an earlier load left has the higher ones.
    """
    found = [process.pid for process in processes.descendants(root) if model_of(process) == model]
    return sorted(found, key=start_ticks)


def workers(root: int, model: str) -> list[int]:
    """The processes that read videos for `model` of the server `root`."""
    return [pid for stub in stubs(root, model) for pid in descendants(stub) if "video.worker" in command(pid)]


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    return (fields := _stat(pid)) != [] and fields[0] != "Z"


def start_ticks(pid: int) -> int:
    """When a process began, in hundredths of a second since the machine did; 0 where it is gone."""
    return int(fields[19]) if (fields := _stat(pid)) else 0


def cpu_ticks(pid: int) -> int:
    """CPU time that a process has used, in hundredths of a second; 0 where it is gone."""
    return sum(map(int, _stat(pid)[11:13]))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def kill_when_busy(pids: list[int], how: signal.Signals) -> None:
    """Kill the first of some idle processes that starts to work, while it is at it."""
    before = {pid: cpu_ticks(pid) for pid in pids}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid in pids:
            if cpu_ticks(pid) > before[pid] + 5:
                os.kill(pid, how)
                return
        time.sleep(0.005)
