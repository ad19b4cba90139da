"""Writes a tar shard, member by member."""

import tarfile
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self, cast

from .archive import forget_members


class Readable(Protocol):
    """What a member is copied from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""


class ShardWriter:
    """A context manager; a shard that is being written lies at a temporary path, which is up to the caller."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        # PAX: names of any length and alphabet.
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, member: tarfile.TarInfo, content: Readable) -> None:
        """Add a file: `member.size` bytes of `content`. Raises OSError."""
        self._tar.addfile(member, cast(IO[bytes], content))
        forget_members(self._tar)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.__exit__(kind, error, trace)
