"""How much memory a process and everything below it use."""

import threading
from pathlib import Path

from video.processes import descendants, find_process


def tree(root: int) -> list[int]:
    """`root` and its descendants."""
    return [root, *(process.pid for process in descendants(root))]


def proportional_mib(root: int) -> float:
    """Memory of a process tree in MiB; what processes share is counted once (PSS)."""
    return _sum_mib(root, "smaps_rollup", ("Pss:",))


def resident_mib(root: int) -> float:
    """Memory in MiB of a process tree's own, and of all shared memory of the machine: use it where nothing else runs.

    Cheap to ask for, unlike PSS, which takes the kernel a walk through gigabytes of page tables: asking ten times a
    second for that made what was measured half as slow again.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    shared_kib = next(int(line.split()[1]) for line in lines if line.startswith("Shmem:"))
    return _sum_mib(root, "status", ("RssAnon",)) + shared_kib / 1024


def _sum_mib(root: int, file: str, fields: tuple[str, ...]) -> float:
    """The sum of some fields of /proc/PID/`file`, which are in KiB, over a process tree."""
    kib = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        except OSError:
            continue  # gone meanwhile
        kib += sum(int(line.split()[1]) for line in lines if line.startswith(fields))
    return kib / 1024


def cpu_seconds(root: int) -> float:
    """CPU time of a process tree so far, its ended and awaited children included."""
    found = (find_process(pid) for pid in tree(root))
    return sum(process.cpu_seconds + process.children_cpu_seconds for process in found if process is not None)


def peak_mib() -> float:
    """Peak memory of this process; getrusage would count what its parent had when it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class PeakMemory:
    """The largest `resident_mib` of a process tree while a `with` block runs, looked at ten times a second."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.peak_mib = resident_mib(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.peak_mib = max(self.peak_mib, resident_mib(self.root))
