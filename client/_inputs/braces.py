"""Names with braces, as WebDataset and shells write them: `{000000..000999}` and `{train,test}`."""

import glob
import os
import re
from collections.abc import Callable, Iterator

from .._remote.addresses import is_remote
from .errors import InputError
from .item import Item
from .names import shown
from .remote import remote_videos
from .skipped import Skipped
from .walk import Choice, Walk

MOST = 10_000_000
"""Names that braces may stand for."""
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")


def has_braces(name: str) -> bool:
    """Whether a name stands for several."""
    return _BRACES.search(name) is not None


def expanded(name: str) -> Iterator[str]:
    """The names that it stands for, one by one; numbers keep the width of the first one."""
    found = _BRACES.search(name)
    if found is None:
        yield name
        return
    for choice in _choices(found):
        for rest in expanded(name[found.end() :]):
            yield f"{name[: found.start()]}{choice}{rest}"


def named_by_braces(argument: str, choice: Choice) -> Callable[[Skipped], Iterator[Item]]:
    """The files, folders and patterns that an argument with braces stands for.

    Raises `InputError` if there are too many, or none of them exists.
    """
    if (count := _count(argument)) > MOST:
        raise InputError(f"{shown(argument)}: stands for {count:,} names; at most {MOST:,} are taken")
    if not any(is_remote(name) or os.path.lexists(name) or glob.has_magic(name) for name in expanded(argument)):
        first, last = next(expanded(argument)), _last(argument)
        raise InputError(f"{shown(argument)}: none of these files exists, from {shown(first)} to {shown(last)}")

    def found(skipped: Skipped) -> Iterator[Item]:
        nothing = True
        for name in expanded(argument):
            for item in _found(name, choice, skipped):
                nothing = False
                yield item
        if nothing:
            skipped.trouble(f"{shown(argument)}: there are no videos")

    return found


def _found(name: str, choice: Choice, skipped: Skipped) -> Iterator[Item]:
    if is_remote(name):
        try:
            return remote_videos(name, choice)[0](skipped)
        except InputError as error:
            skipped.trouble(str(error))
            return iter(())
    if glob.has_magic(name) and not os.path.lexists(name):
        return Walk(choice, skipped).matching(name)
    return Walk(choice, skipped).below(name) if os.path.isdir(name) else iter([Item(name)])


def _choices(found: re.Match[str]) -> Iterator[str]:
    first, last, names = found.groups()
    if names is not None:
        yield from names.split(",")
        return
    step = 1 if int(first) <= int(last) else -1
    for number in range(int(first), int(last) + step, step):
        yield f"{number:0{len(first)}}"


def _count(name: str) -> int:
    count = 1
    for first, last, names in _BRACES.findall(name):
        count *= names.count(",") + 1 if not first else abs(int(last) - int(first)) + 1
    return count


def _last(name: str) -> str:
    def last_choice(found: re.Match[str]) -> str:
        first, last, names = found.groups()
        return f"{int(last):0{len(first)}}" if names is None else names.rpartition(",")[2]

    return _BRACES.sub(last_choice, name)
