"""The folder of a benchmark that keeps clips and scores, so that an interrupted run can go on: one run's alone."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from client._lock import lock

MADE_BY = "made_by.json"
ROOT = Path(__file__).parent.parent
CODE = ("training", "video", "export/motion_network.py", "export/camera_network.py", "bench/demo_scores.py")
"""What renders, encodes, samples, decodes, measures and scores in this process."""
PACKAGES = ("av", "numpy", "opencv-python-headless", "torch")


class OtherRun(Exception):
    """The folder is not for this run; the message says why."""


def made_by(*code: str) -> dict[str, str]:
    """What clips and scores depend on; `code`: the benchmark's own files, relative to the repository."""
    return {
        "code": digest([*CODE, *code], "*.py"),
        "networks": digest(["export/demo"], "*"),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def digest(paths: Iterable[str], pattern: str, root: Path = ROOT) -> str:
    """A hash of the names and contents of files, and of those in folders that match `pattern`; relative to `root`."""
    total = hashlib.sha256()
    for path in sorted(paths):
        for file in sorted((root / path).rglob(pattern)) if (root / path).is_dir() else [root / path]:
            if file.is_file():
                total.update(f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


@contextmanager
def kept_run(directory: Path, ours: dict[str, str]) -> Iterator[None]:
    """Hold `directory` for the length of the block; it is made if need be. `ours`: from `made_by`.

    Raises `OtherRun` if a run is at work there, or if something else made what it has. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / MADE_BY).open("a+") as file:
        if not lock(file):
            raise OtherRun(f"another run is at work in {directory}")
        file.seek(0)
        content = file.read()
        others = [path for path in directory.iterdir() if path.name != MADE_BY]
        if others and (changed := _changed(content, ours)):
            raise OtherRun(f"{directory} is of a run with other {changed}: delete it, or choose another --directory")
        file.truncate(0)
        file.write(json.dumps(ours))
        file.flush()
        yield


def _changed(content: str, ours: dict[str, str]) -> str:
    try:
        before = json.loads(content)
    except ValueError:  # an earlier version wrote none
        before = {}
    return " and ".join(name for name, value in ours.items() if before.get(name) != value)
