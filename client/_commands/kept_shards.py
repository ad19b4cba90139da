"""Shards with the samples that a filter keeps, members unchanged."""

import json
import os
import sqlite3
import tarfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from .._inputs.names import as_text
from .._inputs.walk import Choice
from .._shards.archive import Archive, open_archive, reading
from .._shards.names import in_shard, sample_of, shard_of
from .._shards.writing import ShardWriter
from .._tables.replace import replacing
from ..errors import UnreadableFile

NOTE = ".kept-shards.json"
"""A hidden file in the folder: the names of the shards that the command wrote, which it may replace."""


class KeptError(Exception):
    """Kept shards cannot be written; the message says why."""


class KeptShards:
    """Takes the names of kept videos, then writes a shard for each shard that has any of them."""

    def __init__(self, folder: Path) -> None:
        """folder: where the shards go."""
        self._folder = folder
        self._takes = Choice().takes
        self.notes: list[str] = []
        """A sentence for each shard that is damaged behind what is kept of it."""
        self.written = 0
        """How many shards were written."""
        # A temporary file: there may be more names than fit into memory. Parts of a video are one member.
        self._names = sqlite3.connect("", isolation_level=None)
        self._names.execute("CREATE TABLE kept (shard TEXT, video TEXT, PRIMARY KEY (shard, video)) WITHOUT ROWID")

    def add(self, videos: Iterable[str]) -> None:
        """Add videos by their names in the table. Raises `KeptError` for one that is in no shard."""
        rows = []
        for video in videos:
            if (shard := shard_of(video)) is None:
                raise KeptError(f"{video} is in no shard: --kept-shards is for tables of shard.tar/member")
            rows.append((shard, video))
        self._names.execute("BEGIN")
        self._names.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", rows)
        self._names.execute("COMMIT")

    def write(self) -> int:
        """Write the shards, each whole or not at all; returns their number. Raises `KeptError`."""
        with closing(self._names):
            shards = [shard for (shard,) in self._names.execute("SELECT DISTINCT shard FROM kept ORDER BY shard")]
            places = self._places(shards)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._claim(places)
                for place, shard in places.items():
                    with replacing(place) as partial:
                        self._copy(shard, partial)
                    self.written += 1
            except OSError as error:
                raise KeptError(f"cannot write {self._folder}: {error.strerror or error}") from error
        return len(places)

    def _places(self, shards: list[str]) -> dict[Path, str]:
        """Where each shard goes. A shard that is there and would stay is refused: it would look like a kept one."""
        places: dict[Path, str] = {}
        for shard in shards:
            place = self._folder / _name_of(shard)
            if other := places.get(place):
                raise KeptError(f"{other} and {shard} have the same name: filter their tables into separate folders")
            if place.resolve() == Path(shard).resolve():
                raise KeptError(f"{shard}: --kept-shards would replace the shard itself; choose another folder")
            places[place] = shard
        for there in sorted(self._folder.glob("*.tar")):
            if there not in places:
                raise KeptError(f"{there} is there, and nothing of a shard of this name is kept: choose another folder")
        return places

    def _claim(self, places: Iterable[Path]) -> None:
        """Note which shards of the folder are kept ones, before they are written. Raises `KeptError` and OSError."""
        note = self._folder / NOTE
        try:
            own = {*json.loads(note.read_text("utf-8"))}
        except FileNotFoundError:
            own = set()
        except (ValueError, TypeError) as error:
            raise KeptError(f"{note} is damaged: choose another folder") from error
        for place in places:
            if place.exists() and place.name not in own:
                raise KeptError(f"{place} is there, and --kept-shards did not write it: choose another folder")
        with replacing(note) as partial:
            partial.write_text(json.dumps(sorted(own | {place.name for place in places})), "utf-8")

    def _copy(self, shard: str, to: Path) -> None:
        """Every member of a sample that is kept, but for its videos that are not."""
        query = "SELECT video FROM kept WHERE shard = ?"
        missing = {video for (video,) in self._names.execute(query, (shard,))}
        kept = frozenset(missing)
        samples = {sample_of(video[len(shard) + 1 :]) for video in kept}
        sample = ""
        with ShardWriter(to) as writer:
            try:
                with open_archive(shard) as archive:
                    for member in archive:
                        video = as_text(in_shard(shard, member.name))
                        sample = sample_of(video[len(shard) + 1 :])
                        if video in kept or (sample in samples and not self._takes(member.name)):
                            _add(writer, archive, member)
                            missing.discard(video)
            except UnreadableFile as error:
                if missing or sample in samples:
                    raise KeptError(f"{shard}: {error}, and a sample that is kept lies there") from error
                self.notes.append(f"{shard}: {error}; what is kept lies before that")
        if missing:
            raise KeptError(f"{shard} has no member {min(missing)[len(shard) + 1 :]}: it is not what was scored")


def _add(writer: ShardWriter, archive: Archive, member: tarfile.TarInfo) -> None:
    if not member.isfile():  # a link to a member that may be dropped
        raise UnreadableFile(f"{member.name} is a link or a device, not a file")
    writer.add(member, _Member(archive, member))


class _Member:
    """A member as a stream whose errors are not those of the shard that is written."""

    def __init__(self, archive: Archive, member: tarfile.TarInfo) -> None:
        self._content, self._info = archive.open(member), member

    def read(self, size: int, /) -> bytes:
        """The next bytes. Raises `UnreadableFile`."""
        with reading(self._info):
            data = self._content.read(size)
            if len(data) < size:
                raise EOFError
            return data


def _name_of(shard: str) -> str:
    """The file's name; what is written is not compressed."""
    name = os.path.basename(shard)
    for ending in (".tar.gz", ".tgz"):
        if name.lower().endswith(ending):
            return f"{name[: -len(ending)]}.tar"
    return name
