"""Writing files into a model repository: all of them or none."""

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
    """New files, written beside those that they replace and renamed together by `commit`.

    The repository does not change before `commit`; leaving the block without it removes the new files. `ExportError` if
    the directory is not a model repository of this project, or another export writes into it.
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
        """The path to write the new content of file `name` to; `name` is relative to the repository."""
        path = self.staged(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._staged.append(path)
        return path

    def staged(self, name: str) -> Path:
        """The path that the new content of file `name` was written to."""
        return self.root / (name + SUFFIX)

    def remove(self, name: str) -> None:
        """Remove file `name`, if it exists, at `commit`."""
        self._removed.append(self.root / name)

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
