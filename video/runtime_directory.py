"""A private directory for the server's key, locks and sockets.

Its name is predictable and its parent may be writable by everybody, so another user may create it first, or put a link
in its place. It is therefore used only if this user owns it and no other user has any permission on it.
"""

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

log = logging.getLogger(__name__)
MAX_NAMES = 100
"""How many names are tried; another user could take any number of them."""


def runtime_directory() -> Path:
    """The directory of this user's servers, mode 0700; created if it does not exist.

    It lies in `XDG_RUNTIME_DIR`, or else in the directory for temporary files. If another user took its name, the next
    name is chosen, with a warning; if every name is taken, a name in the user's own `~/.cache`. Raises PermissionError
    if that is not possible either.
    """
    names = [*islice(_names(), MAX_NAMES), *_names_at_home()]
    # An existing one wins: all processes of a server choose the same, even if a name becomes free in between.
    for path in names:
        if is_private(path):
            return path
    for path in names:
        try:
            path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            if not is_private(path):  # unless another process of this user has just created it
                log.warning("%s is not a private directory of this user: trying the next name", path)
                continue
        return path
    others = f"the {len(names) - 1} names after it"
    raise PermissionError(f"{names[0]} and {others} are not private directories of this user")


def is_private(path: Path) -> bool:
    """Whether `path` is a directory, not a link to one, that this user owns and no other user may read or write."""
    try:
        return _is_private(path.lstat())
    except OSError:
        return False


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """A descriptor of `directory`, to remove files by; PermissionError if it is not private.

    A descriptor stays with the directory that was checked, whatever happens to the name.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise PermissionError(f"{directory} is not a private directory of this user") from error
    try:
        if not _is_private(os.fstat(descriptor)):
            raise PermissionError(f"{directory} is not a private directory of this user")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_private(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def _names() -> Iterator[Path]:
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = Path(given if os.access(given, os.W_OK) else tempfile.gettempdir())
    yield parent / f"video-motion-{os.getuid()}"
    for number in count(2):
        yield parent / f"video-motion-{os.getuid()}-{number}"


def _names_at_home() -> list[Path]:
    """The name in a directory that no other user can write to; none if this user has no home."""
    try:
        home = Path.home()
    except RuntimeError:
        return []
    return [home / ".cache" / f"video-motion-{os.getuid()}"] if os.access(home, os.W_OK) else []
