"""The key to the closed APIs, in a file that only the user who runs the server can read."""

import os
from pathlib import Path

from video.runtime_directory import runtime_directory


def key_path(grpc_port: int) -> Path:
    """Where the key of the server on this port is. Raises PermissionError if no private directory is available."""
    return runtime_directory() / f"{grpc_port}.key"


def write_key(key: str, grpc_port: int) -> Path:
    """Write `key` to a file of mode 0600 in the runtime directory; returns its path.

    Raises PermissionError if no private directory is available.
    """
    path = key_path(grpc_port)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(key)
    return path
