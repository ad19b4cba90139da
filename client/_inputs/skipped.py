"""What a folder or a manifest has besides the videos that are scored, to be said at the end."""

import os
import re
from collections import Counter
from collections.abc import Collection

from .._counted import counted
from .names import shown

ENDINGS_NAMED = 8
TROUBLES_NAMED = 10
_KNOWN_ENDINGS = 1000
_NAMES_SHOWN = 120
_ENDING = re.compile(r"\.[a-z0-9_-]{1,12}")
_NONE, _OTHER = "without an ending", "with other endings"


class Skipped:
    """Counts of what is left out; each pass over the inputs has its own."""

    def __init__(self) -> None:
        self.endings: Counter[str] = Counter()
        """Files that are no videos by name, by the ending of the name."""
        self.rows = 0
        """Rows of manifests that name no video."""
        self.troubles: list[str] = []
        """The first folders, manifests and shards that cannot be read, or not to their end: a sentence each."""
        self.trouble_count = 0
        """How many there are."""
        self.read_as: list[str] = []
        """A sentence for each list that says what it was read as, unless it was said before."""
        self._kept_nowhere: set[str] | None = None
        """Values to keep that no sample of a shard had so far; None before the first sample."""

    def file(self, name: str, count: int = 1) -> None:
        """Count a file that is no video by its name; a count of -1 takes one back."""
        ending = os.path.splitext(name)[1].lower() or _NONE
        if ending != _NONE and not _ENDING.fullmatch(ending):
            ending = _OTHER
        self.endings[ending if ending in self.endings or len(self.endings) < _KNOWN_ENDINGS else _OTHER] += count

    def row(self) -> None:
        """Count a row without a name."""
        self.rows += 1

    def sample(self, found: Collection[str], keep: Collection[str]) -> None:
        """Note which of the values to keep a sample of a shard has."""
        before = {*keep} if self._kept_nowhere is None else self._kept_nowhere
        self._kept_nowhere = before - {*found}

    def trouble(self, sentence: str) -> None:
        """Note a folder, a manifest or a shard that cannot be read, or not to its end: the rest of it is not scored."""
        self.trouble_count += 1
        if len(self.troubles) < TROUBLES_NAMED:
            self.troubles.append(sentence)

    def files(self) -> str:
        """Files by ending, such as `12 .jpg, 1 .txt`; "" if there are none."""
        common = [(ending, count) for ending, count in self.endings.most_common(ENDINGS_NAMED) if count]
        parts = [f"{count:,} {ending}" for ending, count in common]
        if rest := self.endings.total() - sum(count for _, count in common):
            parts.append(counted(rest, "other"))
        return ", ".join(parts)

    def sentences(self) -> list[str]:
        """What to say at the end of a run, a line each."""
        said = [*self.read_as, *self.troubles]
        if more := self.trouble_count - len(self.troubles):
            said.append(f"... and {more:,} more folders, manifests or shards that cannot be read")
        if self._kept_nowhere:
            names = ", ".join(sorted(self._kept_nowhere))
            said.append(f"NOTE: no sample of the shards has {shown(names, _NAMES_SHOWN)}: --keep has nothing to take")
        if self.rows:
            rows = "1 row without a name was" if self.rows == 1 else f"{self.rows:,} rows without a name were"
            said.append(f"{rows} skipped")
        if count := self.endings.total():
            files = "1 file that is no video by its name was" if count == 1 else f"{count:,} files that are no videos "
            files += "" if count == 1 else "by their names were"
            said.append(f"{files} skipped: {self.files()} (--any tries every file)")
        return said
