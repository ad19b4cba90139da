"""Clips in WebDataset shards: tar files whose samples are `KEY.mp4`, `KEY.json` and, with a caption, `KEY.txt`."""

import json
import os
import shutil
import tarfile
import threading
from collections import Counter
from pathlib import Path

from .._shards.videos import CAPTION
from .._shards.writing import ShardWriter
from .facts import Facts
from .files import about
from .names import key_of
from .part import Part
from .place import Place, settle

NOTES = (".json", ".txt")
"""Endings of what stands beside a clip."""


class Shards:
    """Gathers clips, and writes a shard once all of its parts are cut or have failed.

    Shard k has the parts k * size to (k + 1) * size - 1 of the list. Clips wait in the hidden folder; a killed run
    takes them up again.
    """

    def __init__(self, place: Place, size: int) -> None:
        """size: parts in a shard."""
        self._place, self._size = place, size
        self._waiting = place.work / "clips"
        self._lock = threading.Lock()
        self._resolved: Counter[int] = Counter()
        for shard in sorted(self._waiting.glob("*")):
            if self.path(int(shard.name)).exists():  # killed before it was removed
                shutil.rmtree(shard)

    def path(self, shard: int) -> Path:
        """The file of a shard."""
        return self._place.root / f"{shard:06}.tar"

    def is_done(self, part: Part, name: str) -> bool:
        """Whether an earlier run finished this clip, or its whole shard."""
        shard = part.index // self._size
        if self.path(shard).exists():
            return True
        if not self._clip(part.index, name).exists():
            return False
        self.resolve(part)
        return True

    def commit(self, part: Part, name: str, facts: Facts, partial: Path) -> None:
        """Put a clip where it waits for its shard. Raises OSError."""
        clip = self._clip(part.index, name)
        content = part.row() | {"clip": {"source": part.video, **about(facts)}}
        note = partial.with_suffix(".json")
        note.write_text(json.dumps(content, default=str), "utf-8")
        settle(note, clip.with_suffix(".json"))
        if isinstance(caption := content.get(CAPTION), str) and caption:
            note.with_suffix(".txt").write_text(caption, "utf-8", "backslashreplace", newline="")
            settle(note.with_suffix(".txt"), clip.with_suffix(".txt"))
        settle(partial, clip)  # last: it says that both are there
        self.resolve(part)

    def resolve(self, part: Part) -> None:
        """A part is cut, or has failed. Writes its shard if it was the last one. Raises OSError."""
        shard = part.index // self._size
        with self._lock:
            self._resolved[shard] += 1
            is_whole = self._resolved[shard] == self._size
        if is_whole:
            self._write(shard)

    def finish(self, total: int) -> None:
        """The list has `total` parts, and all are resolved: write the last shard. Raises OSError."""
        last = (total - 1) // self._size
        if total % self._size and not self.path(last).exists():
            self._write(last)

    def close(self) -> None:
        """Nothing is open."""

    def _clip(self, index: int, name: str) -> Path:
        # The index comes first, so that samples keep the order of the list.
        suffix = Path(name).suffix
        return self._waiting / f"{index // self._size:06}" / f"{index:012}" / f"{key_of(name)}{suffix}"

    def _write(self, shard: int) -> None:
        folder = self._waiting / f"{shard:06}"
        partial = self._place.partial_file(shard, ".tar")
        with ShardWriter(partial) as writer:
            for sample in sorted(folder.glob("*")):
                clips = sorted(path for path in sample.rglob("*") if path.is_file())
                if all(path.suffix in NOTES for path in clips):
                    continue  # a clip that a killed run did not finish, and that has failed since
                for path in clips:
                    _add(writer, path, path.relative_to(sample).as_posix())
        settle(partial, self.path(shard))
        shutil.rmtree(folder, ignore_errors=True)


def _add(writer: ShardWriter, path: Path, name: str) -> None:
    """The same bytes whoever packs them, and whenever."""
    member = tarfile.TarInfo(name)
    member.size = os.path.getsize(path)
    with path.open("rb") as file:
        writer.add(member, file)
