"""Limits of a container: CPU time and memory of a cgroup, and the cores that a process may use."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from video.cgroup import cpu_limit, memory_left

V1 = "4:memory:/docker/a\n2:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n"
COUNT = "from video.cgroup import usable_cores; print(usable_cores())"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def process(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "process"
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("files", "group", "cores"),
    [
        ({}, "0::/", math.inf),
        ({"cpu.max": "max 100000"}, "0::/", math.inf),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        # The smallest of a group and those around it; one that does not exist here is another container's view.
        ({"cpu.max": "4000 1000", "pods/cpu.max": "2500 1000", "pods/a/cpu.max": "max 1000"}, "0::/pods/a", 2.5),
        ({"cpu.max": "300000 100000"}, "0::/pods/elsewhere", 3.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/", math.inf),
        ({"cpu/docker/a/cpu.cfs_quota_us": "50000", "cpu/docker/a/cpu.cfs_period_us": "100000"}, V1, 0.5),
        ({"cpu.max": "nonsense"}, "0::/", math.inf),
    ],
)  # fmt: skip
def test_the_cores_that_a_cgroup_pays_for(files: dict[str, str], group: str, cores: float, tmp_path: Path) -> None:
    assert cpu_limit(write(tmp_path / "cgroup", files), process(tmp_path, group)) == cores


@pytest.mark.parametrize(
    ("files", "group", "left"),
    [
        ({}, "0::/", math.inf),
        ({"memory.max": "max", "memory.current": "5", "memory.stat": "inactive_file 0"}, "0::/", math.inf),
        # A cache of files can be dropped, such as weights that are mapped.
        (
            {
                "memory.max": "1000",
                "memory.current": "700",
                "memory.stat": "anon 1\nshmem 50\nactive_file 30\ninactive_file 200\n",
            },
            "0::/",
            530,
        ),
        ({"memory.max": "1000", "memory.current": "1700", "memory.stat": "inactive_file 0"}, "0::/", 0),
        (
            {
                "memory/docker/a/memory.limit_in_bytes": "3000",
                "memory/docker/a/memory.usage_in_bytes": "2500",
                "memory/docker/a/memory.stat": "inactive_file 1\ntotal_active_file 20\ntotal_inactive_file 80",
                "memory/memory.limit_in_bytes": str(2**63 - 4096),
                "memory/memory.usage_in_bytes": "9000",
                "memory/memory.stat": "",
            },
            V1,
            600,
        ),
    ],
)
def test_the_memory_that_a_cgroup_leaves(files: dict[str, str], group: str, left: float, tmp_path: Path) -> None:
    assert memory_left(write(tmp_path / "cgroup", files), process(tmp_path, group)) == left


def test_without_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path, tmp_path / "missing") == memory_left(tmp_path, tmp_path / "missing") == math.inf


def test_a_process_uses_the_cores_of_its_affinity_mask() -> None:
    core = min(os.sched_getaffinity(0))
    ran = subprocess.run(["taskset", "-c", str(core), sys.executable, "-c", COUNT], capture_output=True, text=True)
    assert ran.stdout == "1\n", ran.stderr


@pytest.mark.parametrize(("limit", "cores"), [(0.3, 1), (1.0, 1), (1.2, 2), (2.0, 2), (64.0, 3), (math.inf, 3)])
def test_no_more_threads_than_the_cgroup_pays_for(limit: float, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from video import cgroup

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(cgroup, "cpu_limit", lambda: limit)
    assert cgroup.usable_cores.__wrapped__() == cores
