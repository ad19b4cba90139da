"""Shared memory, through which videos pass, can be opened by the server's user only."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from client import Client
from fixtures.synthetic import encode
from server import Server, instance, private_memory
from server.leftovers import PREFIX
from server.private_memory import exposed_regions
from tests.processes import descendants
from video.processes import model_of, stub_arguments
from video.shared_memory import DIRECTORY

NOBODY = 65534
AS_BOOST_DOES = """
import os, sys
before = os.umask(0o022)
from server.private_memory import PrivateMemory
private = PrivateMemory()
private.enter()
path = f"/dev/shm/video_motion_test_{os.getpid()}"
descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
os.unlink(path)
os.fchmod(descriptor, 0o644)
print(private.in_force, oct(os.fstat(descriptor).st_mode & 0o777))
os.fchmod(descriptor, 0o640)
print(oct(os.fstat(descriptor).st_mode & 0o777), private.environment)
"""


def regions_of(triton: int) -> list[Path]:
    """The shared memory of the stubs below a tritonserver."""
    return [DIRECTORY / stub_arguments(pid)[1] for pid in descendants(triton) if model_of(pid) is not None]


def readable_by_another_user(paths: list[Path]) -> list[str]:
    program = 'for path; do head -c 1 "$path" > /dev/null 2>&1 && echo "$path"; done'
    command = ["/bin/sh", "-c", program, "sh", *map(str, paths)]
    child = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True)
    return child.stdout.split()


def umask_of(pid: int) -> str:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Umask"))
    return line


def test_no_other_user_can_open_the_memory_that_videos_pass_through(server: Server, client: Client) -> None:
    client.score(encode(30))
    regions = regions_of(server.process.pid)
    assert len(regions) > 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in regions} == {0o600}
    everything = [path for path in DIRECTORY.iterdir() if path.name.startswith(f"{PREFIX}{os.getpid()}_")]
    assert set(regions) <= set(everything)
    assert exposed_regions(f"{PREFIX}{os.getpid()}_") == []
    # Other files get the modes that the user wants.
    stubs = [pid for pid in descendants(server.process.pid) if model_of(pid) is not None]
    assert {umask_of(pid) for pid in stubs} == {umask_of(os.getpid())}
    if os.getuid() == 0:
        public = DIRECTORY / f"{PREFIX}public"
        public.write_bytes(b"x")
        public.chmod(0o644)
        try:
            assert readable_by_another_user([public, *everything]) == [str(public)]
        finally:
            public.unlink()


def test_the_mode_of_boost_has_no_effect_and_others_have() -> None:
    result = subprocess.run([sys.executable, "-c", AS_BOOST_DOES], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["True 0o600", "0o640 {'VIDEO_MOTION_UMASK': '0077'}"]


def test_without_libseccomp_it_is_not_in_force() -> None:
    program = f"import sys\nsys.modules['pyseccomp'] = None\n{AS_BOOST_DOES}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("False 0o644\n")


def test_exposed_memory_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(private_memory, "DIRECTORY", tmp_path)
    monkeypatch.setattr(instance, "wait_until_ready", lambda _: None)
    started = Server.__new__(Server)
    started._shared_memory_prefix = "ours_"
    for name, mode in (("ours_1", 0o600), ("theirs_1", 0o644)):
        (tmp_path / name).touch(mode)
    with caplog.at_level(logging.WARNING):
        started.wait_until_ready()
        assert caplog.messages == []
        (tmp_path / "ours_2").touch()
        (tmp_path / "ours_2").chmod(0o640)
        assert exposed_regions("ours_") == ["ours_2"]
        started.wait_until_ready()
    (message,) = caplog.messages
    assert message.startswith("other users of this machine can read the videos in /dev/shm: ")
