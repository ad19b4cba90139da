"""The key to the APIs that are closed to callers, for whoever runs the server."""

import os
import stat
import tempfile
from pathlib import Path


def write_key(key: str, grpc_port: int) -> Path:
    """Write `key` where only this user can read it; where that is."""
    ours = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = ours if os.access(ours, os.W_OK) else tempfile.gettempdir()
    directory = Path(parent, f"video-motion-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()  # no link that another user left there
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{directory} is not this user's alone")
    path = directory / f"{grpc_port}.key"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(key)
    return path
