"""Runs the command as `python -m client.summary`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("summary", f"python -m {__package__}.summary"))
