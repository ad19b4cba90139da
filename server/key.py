"""The key to the APIs that are closed to callers, for whoever runs the server."""

import os
import tempfile
from pathlib import Path


def write_key(key: str, grpc_port: int) -> Path:
    """Write `key` where only this user can read it; where that is."""
    directory = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"video-motion-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid() or directory.stat().st_mode & 0o077:
        raise PermissionError(f"{directory} is not this user's alone")
    path = directory / f"{grpc_port}.key"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(key)
    return path
