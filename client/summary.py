"""`python -m client.summary`: the same as `video-motion summary`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("summary", f"python -m {__package__}.summary"))
