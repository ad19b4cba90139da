"""The processes below another one, as /proc shows them."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

STUB = "triton_python_backend_stub"
BUSY_SECONDS = 0.2
LOOK_SECONDS = 1.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A process at one moment."""

    pid: int
    parent: int
    state: str
    """`R` running, `S` sleeping, `T` stopped, `Z` dead and not waited for, ..."""
    cpu_seconds: float
    """CPU time that it has used."""

    @property
    def command(self) -> list[str]:
        """Its command line, empty where it is gone or dead."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            return []


def descendants(root: int) -> list[Process]:
    """Every child, grandchild and so on of the process `root`, parents before their children."""
    children: dict[int, list[Process]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        state, parent = fields[0], int(fields[1])
        cpu_seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
        children.setdefault(parent, []).append(Process(int(stat.parent.name), parent, state, cpu_seconds))
    found = children.get(root, [])[:]
    for process in found:
        found += children.get(process.pid, [])
    return found


def model_of(process: Process) -> str | None:
    """The model that a process of the python backend serves; None for any other process."""
    command = process.command
    if len(command) < 2 or Path(command[0]).name != STUB:
        return None
    # The second word is a file in the folder of the model's version.
    return Path(command[1]).parent.parent.name


class Progress:
    """Whether a child of this process, or one below it, does anything."""

    IDLE_SHARE = 0.02
    """Of a core: waiting costs some, for whoever looks at intervals whether it is over."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._since = self._looked = time.monotonic()
        self._used = self._cpu_seconds()

    def idle_seconds(self) -> float:
        """How long none of them has computed or waited for a disk."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return now - self._since
        self._looked, used = now, self._cpu_seconds()
        busy = used < self._used or used - self._used > BUSY_SECONDS + self.IDLE_SHARE * (now - self._since)
        if busy or any(process.state == "D" for process in self._processes()):
            self._since, self._used = now, used
        return now - self._since

    def _cpu_seconds(self) -> float:
        return sum(process.cpu_seconds for process in self._processes())

    def _processes(self) -> list[Process]:
        # Itself, too: native backends load their networks in it.
        itself = [process for process in descendants(os.getpid()) if process.pid == self._root]
        return itself + descendants(self._root)
