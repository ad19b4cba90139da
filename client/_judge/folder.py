"""The videos of a generator's folder, and the table of their scores."""

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from .._inputs.inputs import Inputs
from .._inputs.item import Item
from .._inputs.members import Wants
from .._inputs.skipped import Skipped

STAMP = ("file_bytes", "file_modified_ns")
"""The columns of a table that tell whether a file is still the one that was scored: its size, and when it changed."""
Stamp = dict[str, str]
"""The values of `STAMP`; empty texts for a file that cannot be looked at."""


class Folder(Inputs):
    """The videos of a folder, by their whole paths; each with its `STAMP`."""

    def __init__(self, folder: Path) -> None:
        """Raises `InputError` if it has none."""
        self._folder = folder.resolve()
        super().__init__([str(self._folder)], [])

    def items(self, skipped: Skipped, wants: Wants | None = None) -> Iterator[Item]:
        """The videos as they are now."""
        for item in super().items(skipped, wants):
            yield replace(item, kept=stamp_of(item.path))

    def videos(self) -> set[str]:
        """Their names in the table."""
        return {item.video for item in super().items(Skipped())}

    def table_beside(self, page: Path) -> Path:
        """Where their scores go: beside the page, and nowhere that another folder of the same name has them."""
        digest = blake2b(os.fsencode(self._folder), digest_size=4).hexdigest()
        return page.with_name(f"{self._folder.name}-{digest}.scores.parquet")


def stamp_of(path: str | Path) -> Stamp:
    """The stamp that a file has now."""
    try:
        found = os.stat(path)
    except OSError:  # scoring it says why
        return dict.fromkeys(STAMP, "")
    return dict(zip(STAMP, (str(found.st_size), str(found.st_mtime_ns)), strict=True))
