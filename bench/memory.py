"""Memory and CPU time of a process tree."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from video.processes import descendants, find_process


def tree(root: int) -> list[int]:
    """`root` and its descendants."""
    return [root, *(process.pid for process in descendants(root))]


def proportional_mib(root: int) -> float:
    """Memory of a process tree in MiB (PSS: shared memory counts once)."""
    return _sum_mib(root, "smaps_rollup", ("Pss:",))


def resident_mib(root: int) -> float:
    """Anonymous memory of a process tree plus all shared memory of the machine, in MiB.

    Right only if no other program uses shared memory. Unlike PSS it is cheap: for PSS the kernel walks gigabytes of
    page tables, and ten samples a second made the measured requests 1.5 times as slow.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    shared_kib = next(int(line.split()[1]) for line in lines if line.startswith("Shmem:"))
    return _sum_mib(root, "status", ("RssAnon",)) + shared_kib / 1024


def _sum_mib(root: int, file: str, fields: tuple[str, ...]) -> float:
    """The sum over a process tree of `fields` of /proc/PID/`file`, which are in KiB."""
    kib = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        except OSError:
            continue  # the process has ended
        kib += sum(int(line.split()[1]) for line in lines if line.startswith(fields))
    return kib / 1024


def cpu_seconds(root: int) -> float:
    """CPU time of a process tree so far, its ended and awaited children included."""
    found = (find_process(pid) for pid in tree(root))
    return sum(process.cpu_seconds + process.children_cpu_seconds for process in found if process is not None)


def peak_mib() -> float:
    """Peak memory of this process in MiB; getrusage would include that of its parent at the fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class Sampled(ABC):
    """Calls `sample` on a thread of its own, again and again during a `with` block."""

    def __init__(self, samples_per_second: float) -> None:
        self._pause_seconds = 1 / samples_per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @abstractmethod
    def sample(self) -> None:
        """Look once."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._pause_seconds):
            self.sample()


class PeakMemory(Sampled):
    """The largest `resident_mib` of a process tree during a `with` block, sampled ten times a second."""

    def __init__(self, root: int) -> None:
        super().__init__(samples_per_second=10)
        self.root = root
        self.peak_mib = resident_mib(root)

    def sample(self) -> None:
        """Take the memory of the moment if it is larger."""
        self.peak_mib = max(self.peak_mib, resident_mib(self.root))
