"""Where a name leads: the path of the real file, the same for all names of it."""

import os
from functools import lru_cache


def real_path(path: str) -> str | None:
    """The absolute path of the real file behind links, which need not exist; None if no file can have this name."""
    folder, name = os.path.split(path)
    try:
        real = os.path.join(_real_folder(os.path.join(os.getcwd(), folder)), name)
        return os.path.realpath(real) if name in ("", ".", "..") or os.path.islink(real) else real
    except (OSError, ValueError):  # a loop of links, a NUL byte, text that no name can have
        return None


@lru_cache(1024)  # the videos of a list are in few folders
def _real_folder(path: str) -> str:
    return os.path.realpath(path)
