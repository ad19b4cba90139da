"""Files that appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from client._tables.replace import replacing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with replacing(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")

    def write_half() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_why_writing_failed_is_not_hidden_by_a_file_system_that_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file.txt"):
        raise ZeroDivisionError
