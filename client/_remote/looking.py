"""What a URL names: a file, or everything below it."""

from ..errors import UnreadableFile
from .addresses import WEB, opened, parts_of, scheme_of
from .listing import files_below
from .patience import patience_with
from .troubles import Kind


def is_file(url: str) -> bool:
    """Whether the store has a file with exactly this name. Raises `UnreadableFile` if it does not say."""
    system, path = opened(url)
    try:
        return bool(patience_with(url)(lambda: system.info(path))["type"] == "file")
    except UnreadableFile as error:
        if error.reason == Kind.NOT_FOUND.value:
            return False
        raise


def is_prefix(url: str) -> bool:
    """Whether a URL names a folder: it ends in `/`, is a bucket, or has files below it and is none itself.

    Raises `UnreadableFile`.
    """
    if scheme_of(url) in WEB:
        return False
    path = parts_of(url)[2]
    if not path or url.endswith("/"):
        return True
    return not is_file(url) and next(files_below(f"{url}/"), None) is not None
