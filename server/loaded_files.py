"""Which files of the model repository a server has loaded, and whether an export has replaced them since."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

MANIFEST = "weights.json"
DESCRIBING = "video_sampling"
"""Of the models that read `weights.json`, the one that is loaded again whenever it changes."""
MAX_HASHED_BYTES = 1 << 16
"""Larger files are compared by inode, time and size. Smaller ones by content: an export writes them again unchanged."""

Stamp = frozenset[tuple[str, object]]
"""A model's files and what identifies their content."""


class LoadedFiles:
    """The files of each model as they were when it was loaded; safe to use from several threads."""

    def __init__(self, repository: Path) -> None:
        """All models are taken as loaded now."""
        self._repository = repository
        self._lock = threading.Lock()
        self._loaded = {model: self.stamp(model) for model in self._models()}

    def stamp(self, model: str) -> Stamp:
        """What a model's files are now; empty if it has none."""
        directory = self._repository / model
        found = {_file(path, str(path.relative_to(directory))) for path in _files(directory)}
        if model == DESCRIBING:
            found.add(_file(self._repository / MANIFEST, MANIFEST))
        return frozenset(found)

    def loaded(self, model: str, stamp: Stamp) -> None:
        """A model was loaded from files that were `stamp` just before."""
        with self._lock:
            self._loaded[model] = stamp

    def unloaded(self, model: str) -> None:
        """A model is not served any more."""
        with self._lock:
            self._loaded.pop(model, None)

    def replaced(self) -> bool | None:
        """Whether files of a loaded model were replaced since; None while an export replaces them."""
        if not (self._repository / MANIFEST).exists():
            return None
        with self._lock:
            loaded = dict(self._loaded)
        return any(self.stamp(model) != stamp for model, stamp in loaded.items())

    def _models(self) -> list[str]:
        return sorted(path.parent.name for path in self._repository.glob("*/config.pbtxt"))


def _files(directory: Path) -> Iterator[Path]:
    """The files of a model, without what is derived from them: bytecode, and hidden caches and unfinished exports."""
    for path in directory.rglob("*"):
        parts = path.relative_to(directory).parts
        derived = any(part == "__pycache__" or part.startswith(".") for part in parts) or path.suffix == ".partial"
        if not derived and path.is_file():
            yield path


def _file(path: Path, name: str) -> tuple[str, object]:
    try:
        status = path.stat()
        if status.st_size <= MAX_HASHED_BYTES:
            return name, hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return name, None
    return name, (status.st_ino, status.st_mtime_ns, status.st_size)
