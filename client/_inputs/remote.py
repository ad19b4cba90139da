"""The videos that a URL stands for: a file, all that is below a prefix, or what matches a pattern."""

from collections.abc import Callable, Iterator

from .._remote.addresses import WEB, canonical, scheme_of
from .._remote.listing import files_below
from .._remote.looking import is_file, is_prefix
from .._remote.patience import STORE_AWAY
from .._remote.pattern import files_matching, is_pattern
from .._remote.troubles import Kind
from .._shards.names import SUFFIXES as SHARDS
from ..errors import UnreadableFile
from .errors import InputError
from .item import Item
from .names import shown
from .skipped import Skipped
from .suffixes import SUFFIXES
from .walk import Choice

PASSING = (STORE_AWAY, Kind.THROTTLED.value, Kind.BROKEN.value)
"""Reasons that pass: a run whose listing meets them stops, and goes on when it is started again."""

Names = Callable[[Skipped], Iterator[str]]
Source = Callable[[Skipped], Iterator[Item]]


def remote_videos(url: str, choice: Choice) -> tuple[Source, bool]:
    """The videos that a URL names, and whether it is quick to count them. Each pass asks the store anew.

    A URL with the ending of a video is a file, without asking. Raises `InputError` if there are no videos, and
    `UnreadableFile` if the store is away.
    """
    if scheme_of(url) in WEB and url.endswith("/"):
        raise InputError(f"{shown(url)}: web servers do not list their files: name each video, or a --manifest of them")
    try:
        names, nothing = _names(url, choice)
        if names is None:
            return lambda _: iter([Item(url)]), True
        skipped = Skipped()
        if next(names(skipped), None) is None:
            others = f", but other files: {skipped.files()} (--any tries every file)" if skipped.files() else ""
            raise InputError(f"{shown(url)}: {nothing}{others}")
    except UnreadableFile as error:
        if error.reason in PASSING:
            raise _named(url, error) from error
        raise InputError(f"{shown(url)}: {error}") from error

    def found(skipped: Skipped) -> Iterator[Item]:
        try:
            yield from map(Item, names(skipped))
        except UnreadableFile as error:
            if error.reason in PASSING:
                raise _named(url, error) from error
            skipped.trouble(f"{shown(url)}: {error}")

    return found, False


def _names(url: str, choice: Choice) -> tuple[Names | None, str]:
    """What lists the videos, and a sentence if there are none; None if the URL is a file."""
    if is_pattern(url) and not is_file(url):

        def names(_: Skipped) -> Iterator[str]:  # a pattern that leaves files out means it
            return (name for name in files_matching(url, choice.takes) if canonical(name) not in choice.left_out)

        return names, "nothing matches this pattern"
    if is_pattern(url) or url.lower().endswith((*SUFFIXES, *SHARDS)) or not is_prefix(url):
        return None, ""

    def below(skipped: Skipped) -> Iterator[str]:
        for name in files_below(url if url.endswith("/") else f"{url}/"):
            if canonical(name) in choice.left_out:
                continue
            if choice.takes(name):
                yield name
            else:
                skipped.file(name.rpartition("/")[2])

    return below, "there are no videos below this address"


def _named(url: str, error: UnreadableFile) -> UnreadableFile:
    return UnreadableFile(f"{shown(url)}: {error}", reason=error.reason)
