"""What a bundle has of the project: the committed files, and the exported networks."""

import io
import subprocess
import tarfile
from fnmatch import fnmatch
from pathlib import Path

from deploy.bundle.errors import BundleError

MANIFEST = "weights.json"
"""An export writes it last: without it, there are no networks."""
LEFT_OUT = ("*.plan*", "*_int8.*", "*/.openvino/*", "*.partial", "*/__pycache__/*")
"""What only this machine, or a CPU, can use of an export: a plan runs on the GPU that built it."""


def commit(project: Path) -> str:
    """The commit that is checked out; `BundleError` if the project is not a git checkout."""
    try:
        top = _git(project, "rev-parse", "--show-toplevel").decode().strip()
        if Path(top) == project.resolve():
            return _git(project, "rev-parse", "HEAD").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    raise BundleError(f"{project} is not a git checkout, and a bundle has the project's committed files")


def has_changes(project: Path) -> bool:
    """Whether committed files were changed since."""
    return bool(_git(project, "status", "--porcelain", "--untracked-files=no"))


def write_committed_files(project: Path, directory: Path) -> None:
    """The committed files, into a new folder; `BundleError` for links out of the project."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_git(project, "archive", "--format=tar", "HEAD"))) as archive:
            archive.extractall(directory, filter="data")
    except tarfile.FilterError as error:
        raise BundleError(f"a committed file cannot be packed: {error}") from error


def networks(project: Path) -> dict[str, Path]:
    """The files of exported networks, by their path in the project; empty if nothing was exported."""
    if not (project / "model_repository" / MANIFEST).is_file():
        return {}
    ignored = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "model_repository")
    names = filter(None, _git(project, *ignored).decode().split("\0"))
    return {name: project / name for name in names if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)}


def _git(project: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, check=True).stdout
