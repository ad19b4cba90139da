"""Which videos to score: files, folders, patterns, URLs, manifests and standard input.

Sources are read during the run, so that millions of videos need no more memory than one.
"""

import codecs
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .._remote.addresses import canonical, is_remote
from .choices import Choices
from .errors import InputError
from .item import Item
from .listing import Listing
from .longest import LONGEST_LINE
from .manifest import Manifest, line_items
from .names import shown
from .places import real_path
from .remote import remote_videos
from .skipped import Skipped
from .suffixes import SUFFIXES
from .walk import Choice, Walk

STANDARD_INPUT = "-"
_READ_BYTES = 65536
_RUN_FILES = ("", ".partial", ".journal", ".journal-wal", ".journal-journal", ".journal-shm")
"""What a run writes: the output, and the output's name with these endings."""
_JOURNAL_FILES = ("", "-wal", "-journal", "-shm")
"""The same of a journal that is elsewhere."""

Source = Callable[[Skipped], Iterator[Item]]


class Inputs:
    """The videos that a command line names, in the order of its arguments; iterate to get each `Item`.

    Raises `InputError` at once if a folder, pattern or manifest has no video or cannot be read. What becomes unreadable
    later does not end the iteration; `items` notes it.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        manifests: Sequence[str],
        *,
        any_name: bool = False,
        output: Path | str | None = None,
        journal: Path | None = None,
        choices: Choices = Choices(),  # noqa: B008 - it cannot change
    ) -> None:
        """any_name: take every file of a folder; output, journal: of the run: they are no inputs of it.

        choices: which columns of the manifests, and of standard input, mean what.
        """
        self.read_as: list[str] = []
        """What each manifest was read as: a sentence each; standard input and pipes say it at their end."""
        self.can_be_counted = STANDARD_INPUT not in (*arguments, *manifests)
        """Whether it is possible to iterate twice, and quick to count."""
        own = {real_path(f"{output}{ending}") for ending in _RUN_FILES} if output else set()
        own |= {real_path(f"{journal}{ending}") for ending in _JOURNAL_FILES} if journal else set()
        if isinstance(output, str) and is_remote(output):
            own |= {canonical(f"{output}{ending}") for ending in ("", ".partial")}
        self._choice = Choice(any_name, frozenset(path for path in own if path))
        self._sources: list[Source] = []
        for argument in arguments:
            self._sources.append(_standard_input(choices) if argument == STANDARD_INPUT else self._named(argument))
        for path in manifests:
            if path == STANDARD_INPUT:
                self._sources.append(_standard_input(choices))
                continue
            manifest = Manifest(path, choices)
            self._sources.append(manifest.items)
            self.read_as += manifest.read_as
            self.can_be_counted &= manifest.can_be_counted

    def __iter__(self) -> Iterator[Item]:
        return self.items(Skipped())

    def items(self, skipped: Skipped) -> Iterator[Item]:
        """The videos; what is left out goes to `skipped`."""
        for source in self._sources:
            yield from source(skipped)

    def _named(self, argument: str) -> Source:
        """A folder, a pattern or a file; a missing file is not an error here, scoring it will fail."""
        choice = self._choice
        if is_remote(argument):
            found, can_be_counted = remote_videos(argument, choice)
            self.can_be_counted &= can_be_counted
            return found
        if os.path.isdir(argument):
            nothing = "the folder has no videos"

            def found(skipped: Skipped) -> Iterator[Item]:
                return Walk(choice, skipped).below(argument)

        elif glob.has_magic(argument) and not os.path.lexists(argument):
            nothing = "nothing matches this pattern"

            def found(skipped: Skipped) -> Iterator[Item]:
                return Walk(choice, skipped).matching(argument)

        else:
            return lambda _: iter([Item(argument)])
        skipped = Skipped()
        if next(found(skipped), None) is None:
            if os.path.isdir(argument) and argument.lower().rstrip("/").endswith(SUFFIXES):
                return lambda _: iter([Item(argument)])  # a folder with the name of a video: one row says what it is
            if skipped.troubles:
                raise InputError(skipped.troubles[0])
            others = f", but other files: {skipped.files()} (--any tries every file)" if skipped.files() else ""
            raise InputError(f"{shown(argument)}: {nothing}{others}")
        return found


def _standard_input(choices: Choices) -> Source:
    return lambda skipped: line_items(_lines_of_standard_input(), Listing(None, skipped, choices))


def _lines_of_standard_input() -> Iterator[str]:
    """Lines as they arrive, read without `sys.stdin`: a thread blocked in it would hold its lock at exit."""
    decoder: codecs.IncrementalDecoder | None = None
    rest = ""
    while True:
        read = os.read(0, _READ_BYTES)
        if decoder is None:
            marked = read.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            decoder = (
                codecs.getincrementaldecoder("utf-16")("replace")
                if marked
                else codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
            )
        *lines, rest = (rest + decoder.decode(read, final=not read)).split("\n")
        yield from (f"{line}\n" for line in lines)
        if not read:
            break
        rest = rest[:LONGEST_LINE]
    if rest:
        yield rest
