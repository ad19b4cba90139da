"""The command `tritonserver` of the virtual environment: NVIDIA's own, with the profile and the backends filled in.

A real installation of Triton is run where there is one; every flag is passed on, and one that is given wins.
"""

import os
import sys
from typing import NoReturn

from server.installation import NoServer, find_triton


def main() -> NoReturn:
    """Become tritonserver."""
    try:
        triton = find_triton()
    except NoServer as error:
        sys.exit(f"tritonserver: {error}")
    command = triton.command(sys.argv[1:], triton.profile())
    os.execve(command[0], command, os.environ | triton.environment)


if __name__ == "__main__":
    main()
