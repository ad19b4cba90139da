"""The command `tritonserver` of the virtual environment, and `python -m server.launcher`: NVIDIA's tritonserver, with
defaults for the profile, the backends and the memory pools.

A native installation of Triton is preferred. Every flag is passed on, and overrides a default.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from server.errors import NoServer, ServerFailed
from server.installation import find_triton, precision_environment
from server.private_memory import WARNING, PrivateMemory
from server.settings import max_int8_error
from video.lifeline import Lifeline


def main() -> NoReturn:
    """Replace this process by tritonserver."""
    try:
        triton = find_triton()
        profile = triton.profile()
        asked = os.environ.get("PRECISION") or "auto"
        precision = precision_environment(profile, asked, _model_repository(sys.argv[1:]), max_int8_error())
    except (NoServer, ServerFailed) as error:
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


def _model_repository(arguments: list[str]) -> Path:
    """The value of --model-repository, or of its other name; the current directory if there is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model-repository", "--model-store", type=Path, default=Path())
    return parser.parse_known_args(arguments)[0].model_repository


if __name__ == "__main__":
    main()
