"""Patterns over the names of files in a store, with the rules of patterns over local files."""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from glob import has_magic

from .addresses import WEB, parts_of, scheme_of
from .listing import files_below

_PLAIN = re.compile(r"[^*?\[]*")


def is_pattern(url: str) -> bool:
    """Whether a URL has wildcards; addresses on web servers have none."""
    return scheme_of(url) not in WEB and has_magic(parts_of(url)[2])


def files_matching(url: str, takes: Callable[[str], bool]) -> Iterator[str]:
    """The URLs that match a pattern, and those below folders that match if `takes` says so of their names.

    `**` stands for any number of folders. Only the names that begin as the pattern does are listed.
    Raises `UnreadableFile`.
    """
    scheme, bucket, path = parts_of(url)
    parts = [part for part in path.split("/") if part]
    fixed = next(index for index, part in enumerate(parts) if has_magic(part))
    start = "".join(f"{part}/" for part in [f"{scheme}://{bucket}", *parts[:fixed]])
    rest = parts[fixed:]
    beginning = _PLAIN.match(rest[0])
    assert beginning is not None
    for found in files_below(start, beginning[0]):
        names = found[len(start) :].split("/")
        in_folder = takes(names[-1]) and any(_fits(rest, names[:depth]) for depth in range(1, len(names)))
        if in_folder or (not path.endswith("/") and _fits(rest, names)):
            yield found


def _fits(parts: list[str], names: list[str]) -> bool:
    if not parts:
        return not names
    first, rest = parts[0], parts[1:]
    if first == "**":
        if not rest:  # a file or a folder at any depth
            return bool(names) and not any(name.startswith(".") for name in names)
        return any(
            _fits(rest, names[depth:])
            for depth in range(len(names) + 1)
            if not any(name.startswith(".") for name in names[:depth])
        )
    if not names or (names[0].startswith(".") and not first.startswith(".")):
        return False
    return fnmatchcase(names[0], first) and _fits(rest, names[1:])
