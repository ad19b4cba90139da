"""`python -m client.score`: the same as `video-motion score`."""

import sys

from ._commands.program import run

if __name__ == "__main__":
    sys.exit(run("score", f"python -m {__package__}.score"))
