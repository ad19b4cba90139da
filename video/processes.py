"""Processes as /proc shows them: the only place that reads /proc/PID/stat.

It imports nothing of Triton's, so that the supervisor, the stubs and the benchmarks share it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STUB = "triton_python_backend_stub"
"""Name of the executable that runs a Python model."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading about a process raises if it has ended, or is another user's where /proc hides those."""


@dataclass(frozen=True)
class Process:
    """A process at one moment."""

    pid: int
    parent: int
    state: str
    """`R` running, `S` sleeping, `D` waiting for a disk, `T` stopped, `Z` dead but not yet waited for."""
    cpu_seconds: float
    """CPU time of all its threads."""
    children_cpu_seconds: float
    """CPU time of its children that have ended and been waited for."""
    start_ticks: int
    """When it started, in clock ticks since boot; with the pid, it identifies the process."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.state not in "ZX"

    @property
    def command(self) -> list[str]:
        """Its command line; empty if it has ended."""
        return command_line(self.pid)


def find_process(pid: int) -> Process | None:
    """The process `pid`; None if it does not exist or is hidden. OSError if this process has no free descriptors."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except GONE:
        return None
    # The second field is the name in parentheses, which may contain spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    own, children = (sum(map(int, fields[first : first + 2])) / TICKS_PER_SECOND for first in (11, 13))
    return Process(pid, int(fields[1]), fields[0], own, children, int(fields[19]))


def pid_namespace() -> int:
    """The number of this process's namespace of pids: each container has one, and counts pids separately."""
    return os.stat("/proc/self/ns/pid").st_ino


def all_processes() -> Iterator[Process]:
    """Every process on the machine, or in this container."""
    for path in Path("/proc").glob("[0-9]*"):
        if (process := find_process(int(path.name))) is not None:
            yield process


def descendants(root: int) -> list[Process]:
    """Every child, grandchild and so on of the process `root`, parents before their children."""
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    found = children.get(root, [])[:]
    for process in found:
        found += children.get(process.pid, [])
    return found


def command_line(pid: int) -> list[str]:
    """The arguments of the process `pid`; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except GONE:
        return []


def stub_arguments(pid: int) -> list[str]:
    """The arguments of a stub, without its own name: the model's file, the name of its shared memory, ...

    Empty for any other process.
    """
    name, *arguments = command_line(pid) or [""]
    return arguments if Path(name).name == STUB else []


def processes_by_model(root: int) -> dict[str, set[int]]:
    """The living stubs of each model below the process `root`."""
    found: dict[str, set[int]] = {}
    for process in descendants(root):
        model = model_of(process.pid)
        if model is not None and process.alive:
            found.setdefault(model, set()).add(process.pid)
    return found


def model_of(pid: int) -> str | None:
    """The model that a stub serves; None for any other process."""
    arguments = stub_arguments(pid)
    # The file lies in MODEL/VERSION/.
    return Path(arguments[0]).parent.parent.name if arguments else None
