"""Where compiled networks are kept for the next start.

OpenVINO keeps them by network file and options, and compiles again if the file or its own version has changed. It does
not look at the CPU, whose instructions decide how a network is compiled, nor at the weights beside an .xml file.
"""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

CPU_FIELDS = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU implementer", "CPU part")
"""Of /proc/cpuinfo: which instructions a CPU has, and which of them are fast."""


def prepare_cache(directory: Path, network: Path, openvino_version: str, cpu: str) -> Path:
    """The folder in `directory` for this OpenVINO on this CPU; removes what was compiled before `network` was written.

    Raises OSError if it cannot be written to.
    """
    key = hashlib.sha256(f"{openvino_version}\n{cpu}".encode()).hexdigest()[:16]
    folder = directory / key
    folder.mkdir(parents=True, exist_ok=True)
    written = max(path.stat().st_mtime for path in (network, network.with_suffix(".bin")) if path.exists())
    for compiled in directory.rglob("*.blob"):
        with contextlib.suppress(FileNotFoundError):  # another model has just removed it
            if compiled.stat().st_mtime < written:
                compiled.unlink()
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


def describe_cpu(path: Path = Path("/proc/cpuinfo")) -> str:
    """What tells CPUs with other instructions apart; empty if this system does not say it."""
    try:
        first = path.read_text().split("\n\n")[0]
    except OSError:
        return ""
    fields = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return "\n".join(f"{name.strip()}:{value.strip()}" for name, value in fields if name.strip() in CPU_FIELDS)
