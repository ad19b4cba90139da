"""The command `tritonserver` of the virtual environment, and `python -m server.launcher`: NVIDIA's tritonserver, with
defaults for the profile, the backends and the memory pools.

A native installation of Triton is preferred. Every flag is passed on, and overrides a default.
"""

import os
import sys
from typing import NoReturn

from server.errors import NoServer
from server.installation import find_triton, precision_environment
from server.private_memory import WARNING, PrivateMemory
from video.lifeline import Lifeline


def main() -> NoReturn:
    """Replace this process by tritonserver."""
    try:
        triton = find_triton()
        profile = triton.profile()
        precision = precision_environment(profile, os.environ.get("PRECISION") or "auto")
    except NoServer as error:
        sys.exit(f"tritonserver: {error}")
    if notice := triton.notice():
        print(f"tritonserver: {notice}", file=sys.stderr)
    command = triton.command(sys.argv[1:], profile)
    private = PrivateMemory()
    environment = os.environ | triton.environment | precision | private.environment
    environment |= Lifeline().become_tritonserver()
    private.enter()
    if not private.in_force:
        print(f"tritonserver: {WARNING}", file=sys.stderr)
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
