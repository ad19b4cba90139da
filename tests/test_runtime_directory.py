"""The directory for keys, locks and sockets: used only if it belongs to this user alone."""

import logging
import os
import stat
from pathlib import Path

import pytest

from backends.compute_lock import remove_leftovers, shared_path
from server.key import write_key
from server.ports import LOOPBACK
from video import runtime_directory as module
from video.processes import pid_namespace
from video.runtime_directory import runtime_directory

GONE = "4194305"
"""A pid above the largest that Linux gives."""


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the directory is made."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def name(number: int = 1) -> str:
    return f"video-motion-{os.getuid()}" + (f"-{number}" if number > 1 else "")


def test_it_is_made_for_this_user_alone_and_found_again(parent: Path) -> None:
    made = runtime_directory()
    assert made == parent / name()
    assert stat.S_IMODE(made.lstat().st_mode) == 0o700
    assert runtime_directory() == made


def test_the_key_and_the_locks_are_in_the_same_one(parent: Path) -> None:
    assert write_key("secret", LOOPBACK, 8001).parent == shared_path("turn").parent == parent / name()
    assert stat.S_IMODE(write_key("secret", LOOPBACK, 8001).stat().st_mode) == 0o600


def test_without_a_runtime_directory_of_the_session_it_is_among_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert runtime_directory() == tmp_path / name()


@pytest.mark.parametrize("kind", ["link", "open", "file", "another user's"])
def test_a_name_that_is_not_ours_is_left_alone(
    kind: str, parent: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = parent / name()
    target = parent / "target"
    target.mkdir(mode=0o700)
    if kind == "link":
        taken.symlink_to(target)
    elif kind == "file":
        taken.touch()
    else:
        taken.mkdir(mode=0o700)
        if kind == "open":
            taken.chmod(0o755)
        else:
            inode = taken.stat().st_ino
            private = module._is_private
            monkeypatch.setattr(module, "_is_private", lambda status: status.st_ino != inode and private(status))
    inside = target if kind == "link" else taken
    if kind != "file":
        (inside / f"{GONE}-5-{pid_namespace()}.turn").touch()
    with caplog.at_level(logging.WARNING):
        assert runtime_directory() == parent / name(2)
    assert f"{taken} is not a private directory of this user" in caplog.text
    assert shared_path("turn").parent == parent / name(2)
    assert kind == "file" or (inside / f"{GONE}-5-{pid_namespace()}.turn").exists()
    with pytest.raises(PermissionError, match="is not a private directory of this user"):
        remove_leftovers(taken)
    assert kind == "file" or (inside / f"{GONE}-5-{pid_namespace()}.turn").exists()


def test_all_processes_choose_the_same_one_though_a_name_becomes_free(parent: Path) -> None:
    (parent / name()).touch()
    chosen = runtime_directory()
    (parent / name()).unlink()
    assert runtime_directory() == chosen == parent / name(2)


def test_if_every_name_is_taken_it_is_at_home(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 3)
    monkeypatch.setenv("HOME", str(parent / "home"))
    (parent / "home").mkdir()
    for number in (1, 2, 3):
        (parent / name(number)).touch()
    assert runtime_directory() == parent / "home" / ".cache" / name()
    assert stat.S_IMODE(runtime_directory().stat().st_mode) == 0o700
    assert write_key("secret", LOOPBACK, 8001).parent == shared_path("turn").parent == runtime_directory()


def test_if_every_name_is_taken_that_is_an_error(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 3)
    monkeypatch.setenv("HOME", "/nonexistent")
    for number in (1, 2, 3):
        (parent / name(number)).touch()
    with pytest.raises(PermissionError, match=f"{parent / name()} and the 2 names after it"):
        runtime_directory()


def test_locks_of_servers_that_have_ended_are_removed_and_nothing_else(parent: Path) -> None:
    directory = runtime_directory()
    space = pid_namespace()
    kept = {f"{os.getpid()}-5-{space}.turn", "::_8001.key", "notes", f"{GONE}.key"}
    kept.add(f"{GONE}-5-{space + 1}.turn")  # of another container with this directory: that process may be alive there
    for file in (*kept, f"{GONE}-5-{space}.turn", f"{GONE}-5-{space}.backbone_0.77"):
        (directory / file).touch()
    remove_leftovers(directory)
    assert {path.name for path in directory.iterdir()} == kept
