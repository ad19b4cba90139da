"""Which videos to score: files, folders, patterns, URLs, shards, manifests, data sets and standard input.

Sources are read during the run, so that millions of videos need no more memory than one.
"""

import codecs
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .._remote.addresses import canonical, is_remote, is_unknown
from .._shards.names import shard_of
from .braces import has_braces, named_by_braces
from .choices import Choices
from .data_set import DataSet
from .errors import InputError
from .item import Item
from .listing import Listing
from .longest import LONGEST_LINE
from .manifest import Manifest, line_items
from .members import Wants, may_name_shards, with_members
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
        data_sets: Sequence[str] = (),
    ) -> None:
        """any_name: take every file of a folder; output, journal: of the run: they are no inputs of it.

        choices: which columns of the manifests, and of standard input, mean what, and what is kept of shards.
        data_sets: Parquet files that hold videos.
        """
        self._choices = choices
        self.read_as: list[str] = []
        """What each manifest was read as: a sentence each; standard input and pipes say it at their end."""
        self.can_be_counted = not (
            STANDARD_INPUT in (*arguments, *manifests) or data_sets or any(map(may_name_shards, arguments))
        )
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
        for argument in data_sets:
            data_set = DataSet(argument, choices)
            self._sources.append(data_set.items)
            self.read_as += data_set.read_as

    def __iter__(self) -> Iterator[Item]:
        return self.items(Skipped())

    def items(self, skipped: Skipped, wants: Wants | None = None) -> Iterator[Item]:
        """The videos; what is left out goes to `skipped`. wants: whether to read a video in a shard (all of them)."""
        for source in self._sources:
            yield from with_members(source(skipped), self._choice, self._choices, skipped, wants)

    def _named(self, argument: str) -> Source:
        """A folder, a pattern or a file; a missing file is not an error here, scoring it will fail."""
        choice = self._choice
        if has_braces(argument) and (is_remote(argument) or not os.path.lexists(argument)):
            # Other names may be prefixes, which are listed.
            self.can_be_counted &= not is_remote(argument) or argument.lower().endswith(SUFFIXES)
            return named_by_braces(argument, choice)
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
            if any(skipped.endings[ending] for ending in (".tar", ".tgz")):
                others += f"; name shards by a pattern: '{shown(os.path.join(argument, '*.tar'))}'"
            raise InputError(f"{shown(argument)}: {nothing}{others}")
        return found


def refuse_missing(arguments: Sequence[str]) -> None:
    """Raise `InputError` if nothing of what the arguments name is there: folders or schemes that are mistyped.

    A missing file with the name of a video is a row that says so.
    """
    if arguments and all(map(_is_nowhere, arguments)):
        count = len(arguments) - 1
        others = f", nor {'the other name' if count == 1 else f'any of the {count:,} other names'}" if count else ""
        raise InputError(f"{shown(arguments[0])}: there is no such file or folder{others}")


def _is_nowhere(argument: str) -> bool:
    """Whether an argument names something that is not there, and that no store has to be asked about."""
    if argument == STANDARD_INPUT:
        return False
    if is_remote(argument):
        return is_unknown(argument)
    if shard_of(argument) is not None or glob.has_magic(argument) or has_braces(argument):
        return False
    return not argument.lower().endswith(SUFFIXES) and not os.path.lexists(argument)


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
