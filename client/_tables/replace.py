"""Writes a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to.

    When the block ends, the file is flushed to the disk and takes the place of `path`. If the block raises, the file
    is removed and `path` stays as it was. Raises OSError.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # on a read-only file system; why the block raised must not be hidden
            partial.unlink(missing_ok=True)
