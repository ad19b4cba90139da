"""The files of a server in the runtime directory, beside those of this user's other servers."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from server.cpu_shares import CpuShares
from server.key import key_path, write_key
from server.runtime_files import RuntimeFiles


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the directory is made."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_servers_with_the_same_port_on_two_addresses_have_files_of_their_own() -> None:
    addresses = ("127.0.0.1", "::1")
    first, second = (RuntimeFiles(address, 8001) for address in addresses)
    for address in addresses:
        write_key(f"key of {address}", address, 8001)
    shares = [CpuShares(files.path("shares"), 2) for files in (first, second)]
    shares[1].close()
    assert shares[0].path.exists()  # a model that is loaded again reads it
    assert [key_path(address, 8001).read_text() for address in addresses] == ["key of 127.0.0.1", "key of ::1"]
    first.close()
    second.close()


def test_a_server_takes_no_files_of_another_living_one(parent: Path) -> None:
    first = RuntimeFiles("0.0.0.0", 8001)
    with pytest.raises(OSError, match=r"another server has .*0\.0\.0\.0_8001\.lock: choose another GRPC_PORT"):
        RuntimeFiles("0.0.0.0", 8001)
    RuntimeFiles("0.0.0.0", 8002).close()
    first.close()
    second = RuntimeFiles("0.0.0.0", 8001)
    first.close()
    with pytest.raises(OSError, match="another server has"):
        RuntimeFiles("0.0.0.0", 8001)
    second.close()
    assert not second.path("lock").exists()


def test_a_lock_that_is_removed_while_it_is_taken_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first = RuntimeFiles("0.0.0.0", 8001)
    lock = fcntl.flock

    def end_before(file: Any, operation: int) -> None:
        first.close()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", end_before)
    second = RuntimeFiles("0.0.0.0", 8001)
    assert second.path("lock").exists()
    second.close()


def test_what_cannot_be_locked_is_an_error(parent: Path) -> None:
    files = RuntimeFiles("0.0.0.0", 8001)
    files.close()
    files.path("lock").mkdir()
    with pytest.raises(IsADirectoryError):
        RuntimeFiles("0.0.0.0", 8001)
    assert len(os.listdir(parent)) == 1


def test_a_server_whose_directory_was_removed_ends_and_touches_no_other(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = RuntimeFiles("0.0.0.0", 8001)
    shares = CpuShares(files.path("shares"), 2)
    shutil.rmtree(files.path("lock").parent)
    (elsewhere := parent / "other").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(elsewhere))
    other = RuntimeFiles("0.0.0.0", 8001)
    theirs = CpuShares(other.path("shares"), 2)
    assert files.path("shares") == shares.path != theirs.path
    shares.close()
    files.close()
    assert other.path("lock").exists()
    assert theirs.path.exists()
    theirs.close()
    other.close()


def test_what_cannot_be_removed_keeps_no_server_from_ending(parent: Path) -> None:
    files = RuntimeFiles("0.0.0.0", 8001)
    directory = files.path("lock").parent
    shutil.rmtree(directory)
    directory.touch()  # NotADirectoryError
    files.close()
    assert directory.is_file()
