"""Putting files into a model repository: all of them, or none."""

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from export.errors import ExportError

SUFFIX = ".partial"


class Transaction:
    """New files written beside the ones that they replace, which take their places together at the end.

    Nothing of the repository changes before `commit`; leaving the block without it removes what was written.
    """

    def __init__(self, model_repository: Path) -> None:
        self.root = model_repository
        self._staged: list[Path] = []

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
        path = self.root / (name + SUFFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._staged.append(path)
        return path

    def stage_text(self, name: str, text: str) -> None:
        """Stage a small text file."""
        self.stage(name).write_text(text)

    def stage_json(self, name: str, content: dict[str, Any]) -> None:
        """Stage a JSON file."""
        self.stage_text(name, json.dumps(content, indent=2) + "\n")

    def commit(self) -> None:
        """Flush everything to disk, then rename each file into place."""
        for path in self._staged:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        with _uninterrupted():
            for path in self._staged:
                path.replace(path.with_name(path.name.removesuffix(SUFFIX)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._staged:
            path.unlink(missing_ok=True)
        os.close(self._lock)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and a polite kill for the moment that the renames take."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
