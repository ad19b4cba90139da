"""The frames of a part of a video that a model sees."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._remote.copies import Copies
from .._remote.patience import STORE_AWAY
from .._tables.found import not_found, place_of
from ..errors import UnreadableFile
from .errors import Stopped, Unanswered

TIMEOUT_SECONDS = 60.0
SCRIPT = Path(__file__).with_name("encode_frames.py")


def pictures_of(row: Mapping[str, Any], table: Path, copies: Copies, count: int, side: int) -> list[bytes]:
    """JPEG pictures of the row's part, first to last. Raises `Unanswered`, and `Stopped` if the store is away.

    A relative path is looked up from the current directory, then from the table's; of a URL, there is a copy meanwhile.
    """
    place = place_of(row["video"], table)
    if place is None:
        raise Unanswered(not_found(row["video"]))
    try:
        with copies.path_of(str(place)) as path:
            return _pictures(row, Path(path).resolve(), count, side)
    except UnreadableFile as error:
        if error.reason == STORE_AWAY:
            raise Stopped(f"{row['video']}: {error}") from error
        raise Unanswered(str(error)) from error


def _pictures(row: Mapping[str, Any], path: Path, count: int, side: int) -> list[bytes]:
    start = row.get("start_seconds") or 0.0
    end = row.get("end_seconds") or start + (row.get("duration_seconds") or 0.0)
    clips = row.get("clips") or ()
    if clips and (row.get("from_first_frame") or row.get("start_seconds") is None):
        # Timestamps need not begin at 0: the first clip begins at the part's first frame.
        first = clips[0]["start_seconds"]
        end, start = first + (end - start), first
    # -I keeps modules in the current directory or beside the script from shadowing its imports.
    command = [sys.executable, "-I", SCRIPT, path, start, max(end, start), count, side]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unanswered(f"decoding took more than {TIMEOUT_SECONDS:g} s") from error
    if done.returncode < 0:
        raise Unanswered("the decoder crashed")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unanswered(said[-1] if said else "it cannot be decoded")
    return _split(done.stdout)


def _split(content: bytes) -> list[bytes]:
    pictures, start = [], 0
    while start < len(content):
        size = int.from_bytes(content[start : start + 8], "little")
        pictures.append(content[start + 8 : start + 8 + size])
        start += 8 + size
    return pictures
