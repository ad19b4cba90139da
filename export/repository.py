"""Writing files into a model repository: all of them or none."""

import fcntl
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from export.errors import ExportError

MANIFEST = "weights.json"
SUFFIX = ".partial"
PREVIOUS = ".previous.partial"
UNFINISHED = "video_motion/.models.partial"
"""Where models that the repository does not have yet are written: Triton would try to load a half-written one."""


class Transaction:
    """New files, written beside those that they replace and renamed together by `commit`.

    The repository does not change before `commit`; leaving the block without it removes the new files. `ExportError` if
    the directory is not a model repository of this project, or another export writes into it.
    """

    def __init__(self, model_repository: Path) -> None:
        self.root = model_repository
        self._staged: dict[Path, Path] = {}
        self._removed: list[Path] = []
        self._removed_models: list[str] = []

    def __enter__(self) -> "Transaction":
        if not (self.root / "video_motion" / "config.pbtxt").is_file():
            raise ExportError(f"{self.root} is not a model repository of this project: it has no video_motion")
        self._lock = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ExportError(f"another export into {self.root} is running") from None
        self._remove_unfinished()  # of an export that was killed
        return self

    def stage(self, name: str) -> Path:
        """The path to write the new content of file `name` to; `name` is relative to the repository."""
        path = self.staged(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._staged[path] = self.root / name
        return path

    def staged(self, name: str) -> Path:
        """The path that the new content of file `name` was written to."""
        exists = len(Path(name).parts) == 1 or (self.root / Path(name).parts[0]).is_dir()
        return (self.root if exists else self.root / UNFINISHED) / (name + SUFFIX)

    def remove(self, name: str) -> None:
        """Remove file `name`, if it exists, at `commit`."""
        self._removed.append(self.root / name)

    def remove_model(self, model: str) -> None:
        """Remove the directory of a model, if it exists, at `commit`."""
        if (self.root / model).is_dir():
            self._removed_models.append(model)

    def stage_text(self, name: str, text: str) -> None:
        """Stage a small text file."""
        self.stage(name).write_text(text)

    def stage_json(self, name: str, content: dict[str, Any]) -> None:
        """Stage a JSON file."""
        self.stage_text(name, json.dumps(content, indent=2) + "\n")

    def commit(self) -> None:
        """Flush the new files to disk and rename them into place; if one rename fails, undo all.

        The manifest is removed first and written last: if the machine stops in between, a server reports missing
        networks.
        """
        for path in self._staged:
            _flush(path)
        manifest = self.root / MANIFEST
        with _uninterrupted():
            replaced: list[Path] = []
            created: list[Path] = []
            moved: list[str] = []
            targets = list(self._staged.values())
            try:
                for target in [*targets, *self._removed]:
                    if target.exists():
                        target.with_name(target.name + PREVIOUS).unlink(missing_ok=True)
                        os.link(target, target.with_name(target.name + PREVIOUS))
                manifest.unlink(missing_ok=True)
                for model in self._removed_models:
                    self._aside(model).parent.mkdir(parents=True, exist_ok=True)
                    (self.root / model).rename(self._aside(model))
                    moved.append(model)
                for target in self._removed:
                    target.unlink(missing_ok=True)
                    replaced.append(target)
                for path, target in self._staged.items():
                    _create_parents(target, created)
                    path.replace(target)
                    replaced.append(target)
            except OSError:
                for target in {*replaced, manifest}:
                    previous = target.with_name(target.name + PREVIOUS)
                    if previous.exists():
                        previous.replace(target)
                    else:
                        target.unlink(missing_ok=True)
                for directory in reversed(created):
                    directory.rmdir()
                for model in moved:
                    self._aside(model).rename(self.root / model)
                raise
            finally:
                for target in [*targets, *self._removed]:
                    target.with_name(target.name + PREVIOUS).unlink(missing_ok=True)
            for directory in {self.root, *(target.parent for target in targets), *created}:
                _flush(directory)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._staged:
            path.unlink(missing_ok=True)
        self._remove_unfinished()
        os.close(self._lock)

    def _aside(self, model: str) -> Path:
        """Where the directory of a removed model waits for the end of `commit`."""
        return self.root / UNFINISHED / f"{model}.removed"

    def _remove_unfinished(self) -> None:
        shutil.rmtree(self.root / UNFINISHED, ignore_errors=True)


def _create_parents(path: Path, created: list[Path]) -> None:
    """Create the directories above `path` that do not exist, and add each to `created`."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir()
            created.append(parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM during the renames, which take a moment.

    By handlers: a signal mask would hold for this thread only, and PyTorch has started others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread handles signals
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
