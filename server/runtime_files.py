"""The files of one server in the runtime directory, where those of this user's other servers are, too.

They are named by address and gRPC port, because servers on several addresses of a machine may have the same port. Where
containers share the directory, even both may be the same: so a server locks these names.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from video.runtime_directory import runtime_directory


def runtime_path(address: str, grpc_port: int, ending: str) -> Path:
    """The file with this ending of the server that listens there.

    Raises PermissionError if no private directory is available.
    """
    return runtime_directory() / f"{address.replace(':', '_')}_{grpc_port}.{ending}"


class RuntimeFiles:
    """The names of one server's files, as long as it lives."""

    def __init__(self, address: str, grpc_port: int) -> None:
        """Lock them; OSError if another living server has them."""
        self._path = runtime_path(address, grpc_port, "lock")
        self._lock = _locked(self._path)

    def path(self, ending: str) -> Path:
        """The file with this ending; in the same directory, wherever another server would now have its own."""
        return self._path.with_suffix(f".{ending}")

    def close(self) -> None:
        """Leave the names to others."""
        if not self._lock.closed:
            remove(self._path)
            self._lock.close()


def remove(path: Path) -> None:
    """Remove a file, if that is possible: its directory may have been removed, or be another's by now."""
    with contextlib.suppress(OSError):
        path.unlink()


def _locked(path: Path) -> BinaryIO:
    while True:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise OSError(
                f"another server has {path}: choose another GRPC_PORT, or set XDG_RUNTIME_DIR to a directory that no "
                "other container has"
            ) from None
        except OSError:
            file.close()
            raise
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another server has just removed it
