"""The key to the closed APIs, in a file that only the user who runs the server can read."""

import os
from pathlib import Path

from server.runtime_files import runtime_path


def key_path(address: str, grpc_port: int) -> Path:
    """Where the key of the server that listens there is.

    Raises PermissionError if no private directory is available.
    """
    return runtime_path(address, grpc_port, "key")


def write_key(key: str, address: str, grpc_port: int) -> Path:
    """Write the `key` of the server that listens there to a file of mode 0600; returns its path.

    Raises PermissionError if no private directory is available.
    """
    path = key_path(address, grpc_port)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write(key)
    return path
