"""Which videos to score: files, folders, patterns, manifests and standard input.

Sources are read during the run, so that millions of videos need no more memory than one.
"""

import glob
import os
from collections.abc import Callable, Iterator, Sequence

from .errors import InputError
from .item import Item
from .manifest import manifest
from .suffixes import SUFFIXES

STANDARD_INPUT = "-"
_READ_BYTES = 65536


class Inputs:
    """The videos that a command line names, in the order of its arguments; iterate to get each `Item`.

    Raises `InputError` at once if a folder, pattern or manifest has no video or cannot be read, and later while
    iterating if something becomes unreadable.
    """

    def __init__(self, arguments: Sequence[str], manifests: Sequence[str]) -> None:
        self._sources: list[Callable[[], Iterator[Item]]] = []
        self.can_be_counted = STANDARD_INPUT not in (*arguments, *manifests)
        """Whether it is possible to iterate twice."""
        for argument in arguments:
            self._sources.append(_lines_of_standard_input if argument == STANDARD_INPUT else _named(argument))
        for path in manifests:
            self._sources.append(_lines_of_standard_input if path == STANDARD_INPUT else manifest(path))

    def __iter__(self) -> Iterator[Item]:
        for source in self._sources:
            yield from source()


def _named(argument: str) -> Callable[[], Iterator[Item]]:
    """A folder, a pattern or a file; a missing file is not an error here, scoring it will fail."""
    if os.path.isdir(argument):
        found, nothing = (lambda: _videos_below(argument)), "the folder has no videos"
    elif glob.has_magic(argument) and not os.path.exists(argument):
        found, nothing = (lambda: _matching(argument)), "nothing matches this pattern"
    else:
        return lambda: iter([Item(argument)])
    if next(found(), None) is None:
        raise InputError(f"{argument}: {nothing} ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return found


def _matching(pattern: str) -> Iterator[Item]:
    for path in glob.iglob(pattern, recursive=True):
        if not os.path.isdir(path):
            yield Item(path)
        elif not pattern.endswith("**"):  # `**` matches every file below the folder as well
            yield from _videos_below(path)


def _videos_below(folder: str) -> Iterator[Item]:
    """In directory order: sorting would hold a million names in memory."""
    folders = [folder]
    while folders:
        current = folders.pop()
        try:
            entries = os.scandir(current)
        except OSError as error:
            raise InputError(f"{current}: cannot read the folder: {error.strerror}") from error
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES):
                    yield Item(entry.path)


def _lines_of_standard_input() -> Iterator[Item]:
    """Names as they arrive, read without `sys.stdin`: a thread blocked in it would hold its lock at exit."""
    rest = b""
    while read := os.read(0, _READ_BYTES):
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            if name := line.rstrip(b"\r"):
                yield Item(os.fsdecode(name))
    if rest:
        yield Item(os.fsdecode(rest))
