"""Runs any command: `video-motion COMMAND`, or `python -m client COMMAND` in a checkout."""

import argparse
import sys
from pathlib import Path

from . import __version__
from ._commands.program import COMMANDS, run

EPILOG = """\
`%(prog)s COMMAND --help` describes a command.
Exit status: 0 done, 1 failed, 2 wrong command line, 130 interrupted by Ctrl-C.

examples:
  %(prog)s score video.mp4
  %(prog)s score videos/ --output scores.parquet"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the first argument names; returns the exit status."""
    program = f"python -m {__package__}" if Path(sys.argv[0]).name == "__main__.py" else "video-motion"
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {does}" for name, does in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} COMMAND [ARGUMENT ...]",
        description="\n".join(
            ["Motion scores and camera moves of videos, from a Triton server.", "", "commands:", *lines]
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"video-motion {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    given = sys.argv[1:] if arguments is None else arguments
    command = parser.parse_args(given[:1]).command
    return run(command, f"{program} {command}", given[1:])


if __name__ == "__main__":
    sys.exit(main())
