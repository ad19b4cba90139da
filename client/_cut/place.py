"""The folder that a run writes into: it belongs to one list and one choice of settings, and to one run at a time."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._lock import lock
from .errors import CutError
from .settings import Settings

WORK = ".cut"
"""A hidden folder with what is not finished; it also says what the folder is for."""
VERSION = 1


class Digest:
    """Identifies a list by the names and parts in it, in order."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, name: str, video: str, start_seconds: float | None, end_seconds: float | None) -> None:
        """Count in one part."""
        self._hash.update(json.dumps([name, video, start_seconds, end_seconds]).encode() + b"\n")

    def text(self) -> str:
        """The digest."""
        return self._hash.hexdigest()


class Place:
    """An output folder that this run may write to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """The folder."""
        self.work = root / WORK
        """What is not finished."""
        self.partial = self.work / "partial"
        """Files that are being written."""

    def partial_file(self, index: int, suffix: str) -> Path:
        """Where to write a file first: no other run, nor a worker that outlived one, writes there."""
        return self.partial / f"{os.getpid()}-{index}{suffix}"


@contextmanager
def taken(root: Path, settings: Settings, digest: str) -> Iterator[Place]:
    """The folder for this list and these settings, made or taken up again. Raises `CutError` and OSError."""
    place = Place(root)
    if root.exists() and not root.is_dir():
        raise CutError(f"{root} is not a folder")
    if root.is_dir() and not place.work.is_dir() and any(root.iterdir()):
        raise CutError(f"{root} is not empty, and no run of this command wrote it: choose another folder")
    place.work.mkdir(parents=True, exist_ok=True)
    with _locked(place):
        _agree(place, {"version": VERSION, "list": digest, "settings": settings.as_json()})
        shutil.rmtree(place.partial, ignore_errors=True)  # of a run that was killed
        place.partial.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place.partial, ignore_errors=True)


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    with (place.work / "lock").open("w") as file:
        if not lock(file):
            raise CutError(f"another run is writing into {place.root}")
        yield


def _agree(place: Place, wanted: dict[str, Any]) -> None:
    """Write what the folder is for, or compare it."""
    file = place.work / "run.json"
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        found = None
    except ValueError as error:
        raise CutError(f"{file} is damaged: remove {place.root}, and start again") from error
    if found is None:
        partial = file.with_name("run.json.partial")
        partial.write_text(json.dumps(wanted), "utf-8")
        os.replace(partial, file)
        return
    if found.get("version") != VERSION:
        raise CutError(f"another version of this command wrote {place.root}: choose another folder")
    if found["settings"] != wanted["settings"]:
        before, now = found["settings"], wanted["settings"]
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        changes = "; ".join(f"{name} was {before.get(name)}, not {now.get(name)}" for name in names)
        raise CutError(f"{place.root} was cut with other settings ({changes}): choose another folder")
    if found["list"] != wanted["list"]:
        raise CutError(f"{place.root} was cut from another list: choose another folder")


def settle(partial: Path, target: Path) -> None:
    """Put a finished file in its place, whole also after a crash of the machine. Raises OSError."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, target)
