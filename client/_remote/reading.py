"""Reading files of a store: whole, in ranges that come in parallel, or as a stream that goes on where it broke off."""

import io
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest, UnreadableFile
from .addresses import WEB, file_name, is_remote, opened, scheme_of
from .patience import patience_with
from .troubles import Incomplete

PART_BYTES = 8 << 20
"""The size of a range."""
PARTS_AT_ONCE = 16
"""Ranges that are read at once, of all files together."""
AHEAD = 2
"""Ranges of a stream that are read before they are asked for."""
_VERSION = ("size", "ETag", "etag", "LastModified", "last_modified", "Last-Modified", "mtime", "generation", "blob_id")
"""What `info` of the file systems says about the version of a file."""


class RemoteFile:
    """A file of a store, as it was when this object was made. Raises `UnreadableFile`."""

    def __init__(self, url: str) -> None:
        self._system, self._path = opened(url)
        self.may_lack_ranges = scheme_of(url) in WEB
        """Whether a server may answer with the whole file where a range is asked for."""
        self._patience = patience_with(url)
        self._info = self._look()
        self.size: int | None = self._info.get("size")
        """In bytes; None if a web server does not say."""

    def read(self, limit: int) -> bytes:
        """The whole file. Raises `InvalidRequest` if it has more than `limit` bytes, before more are read."""
        if self.size is None:
            return self._patience(lambda: self._unknown(limit))
        _check(self.size, limit)
        if self.size == 0:
            return b""
        if self.size <= PART_BYTES:
            size = self.size
            return self._patience(lambda: self._range(0, size))  # as a range: s3fs looks at the size again otherwise
        parts = [self.part(start) for start in range(0, self.size, PART_BYTES)]
        try:
            first = parts[0].result()
            if len(first) == self.size:  # a web server that does not send ranges
                return first
            data = b"".join(part.result() for part in parts)
        finally:
            for part in parts:
                part.cancel()
        self.check_unchanged()
        return data

    def copy(self, to: Path) -> None:
        """Write the whole file to this machine's disk. Raises OSError, too.

        If a web server sends no ranges, the file is in memory meanwhile.
        """
        if self.size is None:
            self._patience(lambda: self._copy_unknown(to))
            return
        with io.BufferedReader(RemoteStream(self, takes_whole=True), 1 << 20) as stream, to.open("wb") as file:
            shutil.copyfileobj(stream, file, PART_BYTES)

    def part(self, start: int) -> "Future[bytes]":
        """The range of `PART_BYTES` from `start` on, which is being read."""
        assert self.size is not None
        end = min(start + PART_BYTES, self.size)
        return _pool().submit(self._patience, lambda: self._range(start, end))

    def check_unchanged(self) -> None:
        """Raise `UnreadableFile` if the store has another version of the file by now."""
        now = self._look()
        if any(now.get(name) != self._info.get(name) for name in _VERSION):
            raise UnreadableFile("the file changed in the store while it was read")

    def _look(self) -> dict[str, Any]:
        info: dict[str, Any] = self._patience(lambda: self._system.info(self._path))
        if info.get("type") == "directory":
            raise UnreadableFile("cannot read the file: it is a folder")
        return info

    def _range(self, start: int, end: int) -> bytes:
        data: bytes = self._system.cat_file(self._path, start=start, end=end)
        if len(data) not in (end - start, self.size):
            raise Incomplete(f"{len(data):,} of {end - start:,} bytes came")
        return data

    def _unknown(self, limit: int) -> bytes:
        """A file whose size nobody says."""
        parts = []
        size = 0
        with self._system.open(self._path, "rb") as file:
            while data := file.read(PART_BYTES):
                size += len(data)
                _check(size, limit)
                parts.append(data)
        return b"".join(parts)

    def _copy_unknown(self, to: Path) -> None:
        with self._system.open(self._path, "rb") as stream, to.open("wb") as file:
            shutil.copyfileobj(stream, file, PART_BYTES)


class RemoteStream(io.RawIOBase):
    """The bytes of a file from its start to its end, each read once, `AHEAD` ranges ahead. Raises `UnreadableFile`."""

    def __init__(self, file: RemoteFile, *, takes_whole: bool = False) -> None:
        """takes_whole: whether a server may send the whole file at once, which is then in memory."""
        super().__init__()
        self._file = file
        self._takes_whole = takes_whole
        self._ahead = 0 if file.may_lack_ranges else AHEAD  # until a range has come
        if self._file.size is None:
            raise UnreadableFile("the server does not say how large the file is")
        self._next = 0
        self._coming: deque[Future[bytes]] = deque()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._fetch():
            return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        for part in self._coming:
            part.cancel()
        self._coming.clear()
        super().close()

    def _fetch(self) -> bool:
        assert self._file.size is not None
        while len(self._coming) <= self._ahead and self._next < self._file.size:
            self._coming.append(self._file.part(self._next))
            self._next += PART_BYTES
        if not self._coming:
            return False
        data = self._coming.popleft().result()
        self._ahead = AHEAD
        if len(data) > PART_BYTES:
            if not self._takes_whole:
                raise UnreadableFile("the server does not send ranges of files")
            self._next = len(data)
        self._rest = memoryview(data)
        if not self._coming and self._next > PART_BYTES:
            self._file.check_unchanged()
        return True


def read_remote(url: str, limit: int) -> bytes:
    """The bytes of a file. Raises `UnreadableFile`, and `InvalidRequest` if it has more than `limit` bytes."""
    try:
        return RemoteFile(url).read(limit)
    except MemoryError as error:
        raise UnreadableFile("cannot read the file: no memory for its bytes") from error


def stream_remote(url: str) -> io.BufferedReader:
    """A file as a stream. Raises `UnreadableFile`, here and when it is read."""
    return io.BufferedReader(RemoteStream(RemoteFile(url)), 1 << 20)


def local_copy(url: str) -> tuple[Path, Callable[[], None]]:
    """A copy of a file on this machine's disk, and what removes it. Raises `UnreadableFile`."""
    file = RemoteFile(url)
    try:
        folder = tempfile.TemporaryDirectory(prefix="video-motion-")
        copy = Path(folder.name) / (file_name(url)[-100:] or "file")
        try:
            file.copy(copy)
        except BaseException:
            folder.cleanup()
            raise
    except OSError as error:
        raise UnreadableFile(f"cannot copy it to this machine: {error.strerror or error}") from error
    return copy, folder.cleanup


@contextmanager
def on_this_machine(name: str) -> Iterator[str]:
    """The path of a file: a copy of it while the block runs, if the name is a URL. Raises `UnreadableFile`."""
    if not is_remote(name):
        yield name
        return
    copy, remove = local_copy(name)
    try:
        yield str(copy)
    finally:
        remove()


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise InvalidRequest(f"the file has {size / 2**30:.1f} GiB; a request can carry 2 GiB", reason="too_large")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PARTS_AT_ONCE, "read-remote")
