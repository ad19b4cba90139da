"""The processes that a server runs, for the tests that kill or stop them."""

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

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


PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


@contextlib.contextmanager
def hanging(pid: int) -> Iterator[None]:
    """A process all of whose threads but the main one stand still, until it is killed."""
    threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir() if int(path.name) != pid]
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    refused: list[int] = []
    held = threading.Event()

    def hold() -> None:  # all calls, and the waiting, must come from one thread
        for thread in threads:
            if ptrace(PTRACE_SEIZE, thread, None, None) or ptrace(PTRACE_INTERRUPT, thread, None, None):
                refused.append(thread)
        held.set()
        for thread in set(threads) - set(refused):
            with contextlib.suppress(ChildProcessError):
                while not (os.WIFEXITED(status := os.waitpid(thread, WALL)[1]) or os.WIFSIGNALED(status)):
                    pass

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    assert not refused, f"ptrace is not allowed: {os.strerror(ctypes.get_errno())}"
    yield
    holder.join()


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
