"""The files of folders and patterns: links are followed, each real file comes once, loops end."""

import os
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import has_magic

from .item import Item
from .names import shown
from .places import real_path
from .skipped import Skipped
from .suffixes import SUFFIXES

BELOW = -1
"""The step of a folder whose videos count at any depth."""


@dataclass(frozen=True)
class Choice:
    """Which files of a folder count."""

    any_name: bool = False
    """All of them, not only those that are videos by name."""
    left_out: frozenset[str] = frozenset()
    """Real paths that never count: the run's own files."""

    def takes(self, name: str) -> bool:
        """Whether a file with this name counts."""
        return self.any_name or name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class _Visit:
    """A folder to go through, and for what."""

    path: str
    real: str
    step: int
    """Index of the pattern's part that its entries have to match, or `BELOW`."""


class Walk:
    """One pass over a folder or a pattern; iterate over `below` or `matching` once.

    In directory order: sorting would hold a million names in memory. Remembers the folders and the links to files.
    """

    def __init__(self, choice: Choice, skipped: Skipped, *, looks_into_named: bool = True) -> None:
        """looks_into_named: whether a folder with the name of a video counts as one if it has no videos."""
        self._choice = choice
        self._skipped = skipped
        self._looks_into_named = looks_into_named
        self._parts: list[str] = []
        self._folders_only = False
        self._waiting: deque[_Visit] = deque()
        self._visited: set[tuple[str, int]] = set()
        self._unreadable: set[str] = set()
        self._once_given: set[str] = set()
        """Real paths of the files that came by links, and of folders that have the names of videos."""

    def below(self, folder: str) -> Iterator[Item]:
        """The videos in a folder and all folders below it."""
        self._visit(folder, real_path(os.path.join(folder, "")), BELOW)
        return self._walk()

    def matching(self, pattern: str) -> Iterator[Item]:
        """The files that match a pattern as of the module `glob`, and the videos below the folders that do."""
        drive, path = os.path.splitdrive(pattern.replace(os.sep, "/"))
        root = drive + ("/" if path.startswith("/") else "")
        parts = path.split("/")
        self._folders_only = parts[-1] == ""
        self._parts = [part for index, part in enumerate(parts) if part and parts[index : index + 2] != ["**", "**"]]
        if self._folders_only and self._parts[-1] == "**":  # the folder itself and all below it
            self._parts.pop()
        self._visit(root, real_path(root or "."), 0 if self._parts else BELOW)
        return self._walk()

    def _walk(self) -> Iterator[Item]:
        while self._waiting:
            visit = self._waiting.popleft()
            if (visit.real, visit.step) not in self._visited:
                self._visited.add((visit.real, visit.step))
                yield from self._go_through(visit)

    def _go_through(self, visit: _Visit) -> Iterator[Item]:
        part = self._parts[visit.step] if visit.step != BELOW else ""
        last = bool(part) and visit.step == len(self._parts) - 1
        if part and not has_magic(part):
            yield from self._named(visit, part, last)
            return
        if part == "**" and not last:
            self._visit(visit.path, visit.real, visit.step + 1)
        try:
            with os.scandir(visit.path or ".") as entries:
                for entry in entries:
                    path = os.path.join(visit.path, entry.name)
                    if part == "**" and not last:
                        if not entry.name.startswith(".") and _is_folder(entry):
                            self._enter(path, visit, entry, visit.step)
                    elif not part or self._matches(entry.name, visit.step):
                        yield from self._found(path, visit, entry, last)
        except OSError as error:
            # What is no folder matches nothing; a folder that cannot be read must be said.
            matches_nothing = visit.step != BELOW and isinstance(error, NotADirectoryError | FileNotFoundError)
            if not matches_nothing and visit.real not in self._unreadable:
                self._unreadable.add(visit.real)
                self._skipped.trouble(f"{shown(visit.path or '.')}: cannot read the folder: {error.strerror or error}")

    def _named(self, visit: _Visit, name: str, last: bool) -> Iterator[Item]:
        """The entry that a part without wildcards names."""
        path = os.path.join(visit.path, name)
        if os.path.isdir(path):
            self._visit(path, real_path(os.path.join(path, "")), BELOW if last else visit.step + 1)
        elif last and not self._folders_only and os.path.lexists(path):
            yield from self._file(path, visit, name, is_link=os.path.islink(path))

    def _found(self, path: str, visit: _Visit, entry: os.DirEntry[str], last: bool) -> Iterator[Item]:
        """An entry that matches the step."""
        if _is_folder(entry):
            if visit.step == BELOW or last:
                everything = last and self._parts[visit.step : visit.step + 1] == ["**"]
                if self._is_video_by_name_alone(path):
                    yield from self._once(path, real_path(path) or path)
                else:
                    self._enter(path, visit, entry, visit.step if everything else BELOW)
            else:
                self._enter(path, visit, entry, visit.step + 1)
        elif visit.step == BELOW or (last and not self._folders_only):
            yield from self._file(path, visit, entry.name, is_link=entry.is_symlink())

    def _file(self, path: str, visit: _Visit, name: str, *, is_link: bool) -> Iterator[Item]:
        real = os.path.join(visit.real, name)
        if is_link:
            real = real_path(path) or real
        if real in self._choice.left_out:
            return
        # A link's file may come from its own folder in any step, also this one; a file itself from another step.
        steps = {BELOW, len(self._parts) - 1} - (set() if is_link else {visit.step})
        if real in self._once_given or self._comes_from_its_folder(real, steps):
            return
        if visit.step == BELOW and not self._choice.takes(name):
            self._skipped.file(name)
        elif is_link:
            self._uncount(real, visit)
            yield from self._once(path, real)
        else:
            yield Item(path)

    def _once(self, path: str, real: str) -> Iterator[Item]:
        if real not in self._once_given:
            self._once_given.add(real)
            yield Item(path)

    def _uncount(self, real: str, visit: _Visit) -> None:
        """A file whose own name is no video's may have been counted as skipped before a link named it."""
        folder, name = os.path.split(real)
        if folder != visit.real and (folder, BELOW) in self._visited and not self._choice.takes(name):
            self._skipped.file(name, -1)

    def _comes_from_its_folder(self, real: str, steps: Collection[int]) -> bool:
        """Whether the walk has been in the folder of a file, or is, in a step that takes the file there."""
        folder, name = os.path.split(real)
        if not any((folder, step) in self._visited for step in steps):
            return False
        if os.path.islink(real) or not os.path.lexists(real):  # the end of a broken link, or of one in circles
            return False
        return any(
            (folder, step) in self._visited
            and (self._choice.takes(name) if step == BELOW else self._matches(name, step) and not self._folders_only)
            for step in steps
        )

    def _matches(self, name: str, step: int) -> bool:
        """Whether a name matches a part of the pattern; a leading dot only matches a dot, as in `glob`."""
        if step == BELOW:
            return True
        part = "*" if self._parts[step] == "**" else self._parts[step]
        if not has_magic(part):
            return name == part
        return fnmatch(name, part) and (part.startswith(".") or not name.startswith("."))

    def _is_video_by_name_alone(self, path: str) -> bool:
        """Whether a folder has the name of a video, and no video in it."""
        if not (self._looks_into_named and path.lower().endswith(SUFFIXES)):
            return False
        return next(Walk(self._choice, Skipped(), looks_into_named=False).below(path), None) is None

    def _enter(self, path: str, visit: _Visit, entry: os.DirEntry[str], step: int) -> None:
        is_link = entry.is_symlink()
        real = real_path(os.path.join(path, "")) if is_link else os.path.join(visit.real, entry.name)
        self._visit(path, real, step, last=is_link)

    def _visit(self, path: str, real: str | None, step: int, *, last: bool = False) -> None:
        """Go through a folder later; through links last, so that files have their names without links if possible."""
        if real is not None and (real, step) not in self._visited:
            (self._waiting.append if last else self._waiting.appendleft)(_Visit(path, real, step))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in circles, or a folder that must not be looked into
        return False
