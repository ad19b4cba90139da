"""A tar file, whole or in pieces of a size, with their SHA-256 sums."""

import hashlib
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO, cast

NAME = "bundle.tar"
SUMS = "SHA256SUMS"
"""As `sha256sum --check` reads them."""


class Pieces:
    """A file to write to, which continues in another file when a piece is full."""

    def __init__(self, directory: Path, piece_bytes: int | None) -> None:
        self._directory, self._piece_bytes = directory, piece_bytes
        self._sums: dict[str, str] = {}
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        left = memoryview(data)
        while left:
            if self._file is None:
                self._begin()
            assert self._file is not None
            room = len(left) if self._piece_bytes is None else self._piece_bytes - self._written
            part, left = left[:room], left[room:]
            self._file.write(part)
            self._sum.update(part)
            self._written += len(part)
            if self._written == self._piece_bytes:
                self._end()
        return len(data)

    def close(self) -> None:
        """Finish the last piece, and write the sums of all."""
        self._end()
        lines = [f"{digest}  {name}\n" for name, digest in self._sums.items()]
        (self._directory / SUMS).write_text("".join(lines))

    def _begin(self) -> None:
        self._name = NAME if self._piece_bytes is None else f"{NAME}.{len(self._sums):04}"
        self._file, self._sum, self._written = (self._directory / self._name).open("wb"), hashlib.sha256(), 0

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._sums[self._name] = self._sum.hexdigest()


def write_tar(content: Mapping[str, Path], directory: Path, piece_bytes: int | None) -> list[Path]:
    """Write files and folders under their names in the tar; the paths of the tar, or of its pieces, in their order."""
    pieces = Pieces(directory, piece_bytes)
    # As a stream, it is only written to.
    with tarfile.open(fileobj=cast(IO[bytes], pieces), mode="w|") as tar:
        for name, path in content.items():
            tar.add(path, name, filter=_anonymous)
    pieces.close()
    return sorted(directory.glob(f"{NAME}*"))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owned by nobody in particular, so that unpacking as root gives no files to a user of the same number."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
