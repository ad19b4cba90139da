"""Runs the command as `python -m client.filter`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("filter", f"python -m {__package__}.filter"))
