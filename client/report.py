"""Runs the command as `python -m client.report`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("report", f"python -m {__package__}.report"))
