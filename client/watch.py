"""Watch a camera, a stream or a file: an answer for each clip as soon as it is there. Needs PyAV and Pillow.

Run with `python -m`, it is the command.
"""

import sys

if __name__ == "__main__":
    from ._commands.program import run

    sys.exit(run("watch", f"python -m {__package__}.watch"))
else:  # the command says what is missing
    from ._watch.errors import SourceError, SourceStalled, UnwritableOutput
    from ._watch.networks import Action
    from ._watch.watch import Watch
    from ._watch.watched import Counts, WatchedClip

__all__ = ["Action", "Counts", "SourceError", "SourceStalled", "UnwritableOutput", "Watch", "WatchedClip"]
