"""What the cgroup of this process, such as a container's, allows: CPU time and memory. Versions 1 and 2."""

import contextlib
import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

MOUNT, PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NO_LIMIT = 1 << 60
"""Version 1 gives a number as large as this for a limit that is not set."""


@cache
def usable_cores() -> int:
    """The cores that this process may use: those of its affinity mask, and no more than its cgroup's CPU time is worth.

    Read once, because a sandboxed process cannot read it later. A part of a core counts as one.
    """
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), cpu_limit())))


def cpu_limit(mount: Path = MOUNT, process: Path = PROCESS) -> float:
    """Cores whose CPU time the cgroup may use; infinite without a limit."""
    limits = [math.inf]
    for group in _groups("cpu", mount, process):
        with contextlib.suppress(OSError, ValueError):
            if (group / "cpu.max").exists():
                quota, period = (group / "cpu.max").read_text().split()  # `max 100000`: no limit, int() raises
            else:
                quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:
                limits.append(int(quota) / int(period))
    return min(limits)


def memory_left(mount: Path = MOUNT, process: Path = PROCESS) -> float:
    """Bytes that the cgroup may still take, file cache that the kernel can drop included; infinite without a limit."""
    left = [math.inf]
    for group in _groups("memory", mount, process):
        with contextlib.suppress(OSError, ValueError):
            newer = (group / "memory.max").exists()
            limit, used = ("max", "current") if newer else ("limit_in_bytes", "usage_in_bytes")
            most = int((group / f"memory.{limit}").read_text())  # `max`: no limit, int() raises
            if most >= NO_LIMIT:
                continue
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            prefix = "" if newer else "total_"
            cached = sum(int(stat.get(f"{prefix}{name}", 0)) for name in ("active_file", "inactive_file"))
            taken = int((group / f"memory.{used}").read_text()) - cached
            left.append(max(most - taken, 0))
    return min(left)


def _groups(controller: str, mount: Path, process: Path) -> Iterator[Path]:
    """The folders of this process's cgroup and of those around it, as far as they are visible here."""
    with contextlib.suppress(OSError):
        for line in process.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            # Version 2 has one tree, and its line names no controller.
            root = mount / controller if controllers else mount
            group = root / path.lstrip("/")
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(root))
