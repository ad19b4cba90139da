"""The files of one server in the runtime directory, where those of this user's other servers are, too.

They are named by address and gRPC port, because servers on several addresses of a machine may have the same port. Where
containers share the directory, even both may be the same: so a server locks these names.
"""

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
        self._address, self._grpc_port = address, grpc_port
        self._lock = _locked(self.path("lock"))

    def path(self, ending: str) -> Path:
        """The file with this ending."""
        return runtime_path(self._address, self._grpc_port, ending)

    def close(self) -> None:
        """Leave the names to others."""
        if not self._lock.closed:
            self.path("lock").unlink(missing_ok=True)
            self._lock.close()


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
