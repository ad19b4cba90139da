"""Runs the command as `python -m client.score`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("score", f"python -m {__package__}.score"))
