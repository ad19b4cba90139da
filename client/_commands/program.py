"""The commands, and how each was typed: help and messages name them that way."""

import re
import sys
from importlib import import_module

from .._optional import missing

COMMANDS = {
    "score": "score videos: print the answers, or fill a table with them",
    "filter": "split a table of scores into the videos to keep and those that presets drop",
    "summary": "summarize a table of scores, or compare two",
    "report": "write one HTML page to choose thresholds by looking",
}
"""Each command, in the order of use, with what it does."""
_NEEDS = {"filter": ("pyarrow",), "summary": ("pyarrow",), "report": ("pyarrow", "av")}


def run(command: str, program: str, arguments: list[str] | None = None) -> int:
    """Run a command that was typed as `program`, such as `video-motion score`; the exit status."""
    if sentence := missing(program, *_NEEDS.get(command, ())):
        print(sentence, file=sys.stderr)
        return 1
    return import_module(f"._commands.{command}", __package__.rpartition(".")[0]).main(arguments, program)


def sibling(program: str, command: str) -> str:
    """`command` as typed beside `program`: `python -m client.filter` for `python -m client.score`."""
    return re.sub(r"\w+$", command, program)
