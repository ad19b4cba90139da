"""Data sets of Hugging Face: Parquet files whose column of structs with `bytes` and `path` holds the videos."""

import glob
import os
from collections.abc import Iterator

from .._os_errors import reason_of
from .braces import expanded
from .choices import Choices
from .errors import InputError
from .item import Item
from .listing import Listing
from .names import shown
from .parquet_list import parquet_items
from .skipped import Skipped


class DataSet:
    """Parquet files that hold videos: a file, a folder, a pattern, or names with braces.

    Raises `InputError` at once if there is none, or the first one holds no video.
    """

    def __init__(self, argument: str, choices: Choices = Choices()) -> None:  # noqa: B008 - it cannot change
        self._choices = choices
        self._files = [*_files(argument)]
        self.read_as: list[str] = []
        """What the files were read as: a sentence."""
        if not self._files:
            raise InputError(f"{shown(argument)}: there is no Parquet file")
        skipped = Skipped()
        first = next(self._items(self._files[0], skipped), None)
        if first is None:
            raise InputError(next(iter(skipped.troubles), f"{shown(self._files[0])}: the file holds no video"))
        self.read_as = skipped.read_as

    def items(self, skipped: Skipped) -> Iterator[Item]:
        """The videos, file by file and row group by row group; a file that cannot be read is noted in `skipped`."""
        for file in self._files:
            yield from self._items(file, skipped)

    def _items(self, file: str, skipped: Skipped) -> Iterator[Item]:
        listing = Listing(file, skipped, self._choices, is_said=bool(self.read_as), holds_files=True)
        try:
            yield from parquet_items(file, listing)
        except InputError as error:
            skipped.trouble(str(error))
        except (OSError, ValueError) as error:
            why = reason_of(error) if isinstance(error, OSError) else error
            skipped.trouble(f"{shown(file)}: cannot read the file: {shown(str(why))}")


def _files(argument: str) -> Iterator[str]:
    """The files in order; a name that leads nowhere is one of them, and says so when it is read."""
    for name in [argument] if os.path.lexists(argument) else expanded(argument):
        if os.path.isdir(name):
            yield from sorted(glob.glob(os.path.join(glob.escape(name), "**", "*.parquet"), recursive=True))
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from sorted(glob.glob(name, recursive=True))
        else:
            yield name
