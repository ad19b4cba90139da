"""Where the videos of a table are."""

from pathlib import Path

from .._remote.addresses import is_remote
from .._shards.names import shard_of


def find_video(video: str, table: Path) -> Path | None:
    """The file of a row: from the current directory, else from the table's directory; None if there is none."""
    return next((path for path in (Path(video), table.parent / video) if _is_file(path)), None)


def place_of(video: str, table: Path) -> Path | str | None:
    """What `find_video` finds; of a URL, the URL itself, without asking its store."""
    return video if is_remote(video) else find_video(video, table)


def not_found(video: str) -> str:
    """A clause about a video that has no place."""
    if shard_of(video) is None:
        return "the file was not found"
    return "the video is in a shard, and only score and filter --kept-shards read shards"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False
