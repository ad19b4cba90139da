"""What a killed server leaves is removed by the next start, and nothing else is touched."""

import contextlib
import mmap
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import leftovers, start
from server.errors import ServerFailed
from server.leftovers import PREFIX, new_prefix, remove_environments, remove_leftovers, remove_shared_memory
from server.settings import Settings
from tests.processes import alive
from video.processes import STUB

GONE = 4194305
"""A pid above the largest that Linux gives."""
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def name(owner: int | None = None, started: int | None = None, namespace: int | None = None) -> str:
    """The name of a region; by default of this process, which lives."""
    _, _, pid, start, space, _, _ = new_prefix().split("_")
    made = owner or pid, started or start, namespace or space, time.monotonic_ns()
    return PREFIX + "_".join(map(str, made)) + "_python1"


OF_ENDED = {"an ended pid": {"owner": GONE}, "a pid that another process has got": {"started": 1}}
OF_OTHERS = {"this process": {}, "another namespace": {"owner": GONE, "namespace": 5}}


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folders for shared memory and environments of these tests alone."""
    (tmp_path / "shm").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(leftovers, "DIRECTORY", tmp_path / "shm")
    monkeypatch.setattr(leftovers, "ENVIRONMENTS", tmp_path / "tmp")
    return tmp_path


def test_shared_memory_of_ended_servers_is_removed(only_these: Path) -> None:
    removed = {name(**of) for of in OF_ENDED.values()}
    kept = {name(**of) for of in OF_OTHERS.values()} | {f"{PREFIX}notes", "another"}
    for file in removed | kept:
        (only_these / "shm" / file).touch()
    remove_leftovers()
    assert {path.name for path in (only_these / "shm").iterdir()} == kept


def test_a_name_that_cannot_be_removed_keeps_no_others(only_these: Path) -> None:
    prefix = new_prefix()
    for number in range(3):
        (only_these / "shm" / f"{prefix}clips_{number}").touch()
    foreign = only_these / "shm" / f"{prefix}directory"
    foreign.mkdir()
    remove_shared_memory(prefix)
    assert list((only_these / "shm").iterdir()) == [foreign]


@AS_ROOT
def test_what_another_user_left_does_not_keep_the_server_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as directory:  # not below tmp_path, which is closed to others
        shared = Path(directory)
        shared.chmod(0o1777)
        monkeypatch.setattr(leftovers, "DIRECTORY", shared)
        monkeypatch.setattr(leftovers, "ENVIRONMENTS", shared)
        roots, theirs = shared / name(owner=GONE), shared / name(owner=GONE)
        roots.touch()
        theirs.touch()
        os.chown(theirs, NOBODY, NOBODY)
        assert as_nobody(remove_leftovers)
        assert roots.exists()
        assert not theirs.exists()
        theirs.touch()
        os.chown(theirs, NOBODY, NOBODY)
        remove_leftovers()
        assert not roots.exists()
        assert theirs.exists()


def as_nobody(action: Callable[[], None]) -> bool:
    """Whether `action` succeeds in a process of another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setuid(NOBODY)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@contextlib.contextmanager
def process(*command: str, user: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A shell that waits, and whose command line is `command`."""
    with subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE, user=user, cwd="/") as started:
        yield started
        started.kill()


def stub(region: str) -> list[str]:
    return [f"/elsewhere/{STUB}", "-c", "read line", region]


def triton(region: str) -> list[str]:
    flag = f"--backend-config=python,shm-region-prefix-name={region.removesuffix('1')}"
    return ["/elsewhere/tritonserver", "-c", "read line", "--http-port=1", flag]


@pytest.mark.parametrize("kind", [stub, triton])
@pytest.mark.parametrize("of", OF_ENDED)
def test_processes_that_an_ended_server_left_are_killed(of: str, kind: Callable[[str], list[str]]) -> None:
    with process(*kind(name(**OF_ENDED[of]))) as left:
        remove_leftovers()
        assert not alive(left.pid)


@pytest.mark.parametrize("of", OF_OTHERS)
def test_processes_of_other_servers_are_left_alone(of: str) -> None:
    region = name(**OF_OTHERS[of])
    with process(*stub(region)) as first, process(*triton(region)) as second:
        remove_leftovers()
        assert alive(first.pid)
        assert alive(second.pid)


@AS_ROOT
def test_processes_of_other_users_and_other_programs_are_left_alone() -> None:
    region = name(owner=GONE)
    with process(*stub(region), user=NOBODY) as first, process("grep", *stub(region)[1:]) as second:
        remove_leftovers()
        assert alive(first.pid)
        assert alive(second.pid)


def test_empty_environments_are_removed_when_no_older_server_lives(
    only_these: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [only_these / "tmp" / f"python_env_{letters}" for letters in ("AAAAAA", "BBBBBB", "CCCCCC")]
    other = only_these / "tmp" / "python_env_of_mine"
    for folder in (*folders, other):
        folder.mkdir()
    (folders[1] / "bin").mkdir()
    library = only_these / leftovers.PYTHON_BACKEND
    library.write_bytes(b"a library")
    # This process alone: servers of other tests may run now.
    runs = leftovers._runs_python_backend
    monkeypatch.setattr(leftovers, "_runs_python_backend", lambda one: one.pid == os.getpid() and runs(one))
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        remove_environments()  # this process might be the server that made them
        assert all(folder.exists() for folder in folders)
        long_ago = time.time() - 10**6
        os.utime(folders[0], (long_ago, long_ago))
        remove_environments()
        assert [folder.exists() for folder in folders] == [False, True, True]
    for folder in folders[1:]:
        os.utime(folder, (time.time() - 5, time.time() - 5))
    remove_environments()
    assert [folder.exists() for folder in (*folders, other)] == [False, True, False, True]


def test_a_start_removes_leftovers_before_it_looks_for_problems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    order: list[str] = []
    module = sys.modules["server.start"]
    monkeypatch.setattr(module, "remove_leftovers", lambda: order.append("leftovers"))
    monkeypatch.setattr(module, "problems", lambda *_: [*order, "no room"])
    with pytest.raises(ServerFailed, match="leftovers; no room"):
        start(Settings(tmp_path))
