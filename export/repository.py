"""Putting files into a model repository: all of them, or none."""

import fcntl
import json
import os
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


class Transaction:
    """New files written beside the ones that they replace, which take their places together at the end.

    Nothing of the repository changes before `commit`; leaving the block without it removes what was written.
    """

    def __init__(self, model_repository: Path) -> None:
        self.root = model_repository
        self._staged: list[Path] = []
        self._removed: list[Path] = []

    def __enter__(self) -> "Transaction":
        if not (self.root / "video_motion" / "config.pbtxt").is_file():
            raise ExportError(f"{self.root} is not a model repository of this project: it has no video_motion")
        self._lock = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ExportError(f"another export into {self.root} is running") from None
        return self

    def stage(self, name: str) -> Path:
        """Where to write the new content of file `name` (relative to the repository)."""
        path = self.staged(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._staged.append(path)
        return path

    def staged(self, name: str) -> Path:
        """Where the new content of file `name` was written."""
        return self.root / (name + SUFFIX)

    def remove(self, name: str) -> None:
        """Let file `name` go where there is one; it, too, stays until `commit`."""
        self._removed.append(self.root / name)

    def stage_text(self, name: str, text: str) -> None:
        """Stage a small text file."""
        self.stage(name).write_text(text)

    def stage_json(self, name: str, content: dict[str, Any]) -> None:
        """Stage a JSON file."""
        self.stage_text(name, json.dumps(content, indent=2) + "\n")

    def commit(self) -> None:
        """Flush everything to disk, then let each file take its place; all go back where one cannot.

        Should the machine stop in the middle, the manifest, which goes first and comes last, is missing, and a server
        says that there is nothing to serve.
        """
        for path in self._staged:
            _flush(path)
        manifest = self.root / MANIFEST
        with _uninterrupted():
            replaced: list[Path] = []
            targets = [path.with_name(path.name.removesuffix(SUFFIX)) for path in self._staged]
            try:
                for target in [*targets, *self._removed]:
                    if target.exists():
                        target.with_name(target.name + PREVIOUS).unlink(missing_ok=True)
                        os.link(target, target.with_name(target.name + PREVIOUS))
                manifest.unlink(missing_ok=True)
                for target in self._removed:
                    target.unlink(missing_ok=True)
                    replaced.append(target)
                for path, target in zip(self._staged, targets, strict=True):
                    path.replace(target)
                    replaced.append(target)
            except OSError:
                for target in [*replaced, manifest]:
                    previous = target.with_name(target.name + PREVIOUS)
                    if previous.exists():
                        previous.replace(target)
                    else:
                        target.unlink(missing_ok=True)
                raise
            finally:
                for target in [*targets, *self._removed]:
                    target.with_name(target.name + PREVIOUS).unlink(missing_ok=True)
            for directory in {path.parent for path in self._staged}:
                _flush(directory)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._staged:
            path.unlink(missing_ok=True)
        os.close(self._lock)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Do without Ctrl-C and a polite kill for the moment that the renames take: they come too late.

    By handler, not by mask: a mask holds for one thread, and PyTorch has started others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal is handled anyway
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
