"""A tar archive as a stream: its members in order, each read at most once; one that breaks off says so."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, cast

from ..errors import UnreadableFile
from .opening import open_stream

_CUT = "the shard is truncated"
_READ_BYTES = 1 << 20  # at once, where the stream cannot seek


class _Header(tarfile.TarInfo):
    """`tarfile` takes a missing end, or anything that is no header, for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        try:
            return cast(_Header, super().fromtarfile(archive))
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            if archive.offset:
                raise tarfile.ReadError(_CUT) from error
            raise
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            if archive.offset:
                raise tarfile.ReadError(f"the shard is damaged at byte {archive.offset:,}") from error
            raise


class _Decompressed(gzip.GzipFile):
    """`read` gives what there is before an error, and then the error."""

    def read(self, size: int | None = -1) -> bytes:
        return self.read1(-1 if size is None else size)


class Archive:
    """An open shard; iterate once."""

    def __init__(self, tar: tarfile.TarFile, compressed: gzip.GzipFile | None) -> None:
        self._tar = tar
        self._compressed = compressed

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """The files and links in it, in order. Raises `UnreadableFile`."""
        while True:
            with _explained():
                member = self._tar.next()
            if member is None:
                break
            forget_members(self._tar)
            if not member.isdir():
                yield member
        with _explained():
            while self._compressed and self._compressed.read(_READ_BYTES):
                pass  # its checksum stands at its end

    def open(self, member: tarfile.TarInfo) -> IO[bytes]:
        """The bytes of the member that came last, as a stream that `reading` explains."""
        file = self._tar.extractfile(member)
        assert file is not None
        return file

    def read(self, member: tarfile.TarInfo) -> bytes:
        """The bytes of the member that came last. Raises `UnreadableFile`."""
        with reading(member):
            data = self.open(member).read(member.size)
            if len(data) != member.size:
                raise tarfile.ReadError(_CUT)
            return data


def forget_members(tar: tarfile.TarFile) -> None:
    """An open archive would remember each of its members."""
    tar.members = []  # type: ignore[attr-defined]


@contextmanager
def open_archive(shard: str, opened: Callable[[str], BinaryIO] = open_stream) -> Iterator[Archive]:
    """The shard of this name. Raises `UnreadableFile`.

    opened: gives the shard as a stream. If the stream cannot seek, unwanted members are read and discarded.
    """
    with _explained():
        stream = opened(shard)
    with stream:
        compressed = _Decompressed(fileobj=stream) if shard.lower().endswith("gz") else None
        mode: Any = "r|" if compressed or not stream.seekable() else "r:"
        source: Any = compressed or stream
        with _explained(beginning=True):
            tar = tarfile.open(fileobj=source, mode=mode, bufsize=_READ_BYTES, tarinfo=_Header)  # noqa: SIM115
        with tar:
            yield Archive(tar, compressed)


@contextmanager
def reading(member: tarfile.TarInfo) -> Iterator[None]:
    """Turns what reading a member raises into `UnreadableFile`s that name it."""
    with _explained(f" within {member.name}"):
        yield


@contextmanager
def _explained(where: str = "", *, beginning: bool = False) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, ValueError, zlib.error) as error:
        why = str(error)
        if beginning:
            why = "the file is no tar archive"
        elif isinstance(error, EOFError) or why == _CUT or "unexpected end of data" in why:
            why = f"{_CUT}{where}"
        elif not why.startswith("the shard is"):
            why = f"the shard is damaged{where}: {why}"
        raise UnreadableFile(why) from error
    except OSError as error:
        raise UnreadableFile(f"cannot read the shard{where}: {error.strerror or error}") from error
