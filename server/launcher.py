"""The command `tritonserver` of the virtual environment: NVIDIA's own, with the profile and the backends filled in.

A real installation of Triton is run where there is one; every flag is passed on, and one that is given wins.
"""

import os
import sys
from typing import NoReturn

from server.installation import NoServer, find_triton, precision_environment


def main() -> NoReturn:
    """Become tritonserver."""
    try:
        triton = find_triton()
        profile = triton.profile()
        precision = precision_environment(profile, os.environ.get("PRECISION") or "auto")
    except NoServer as error:
        sys.exit(f"tritonserver: {error}")
    if notice := triton.notice():
        print(f"tritonserver: {notice}", file=sys.stderr)
    command = triton.command(sys.argv[1:], profile)
    os.execve(command[0], command, os.environ | triton.environment | precision)


if __name__ == "__main__":
    main()
