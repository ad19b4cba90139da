"""The parser of a command: every `--help` has the same parts, and ends with examples."""

import argparse
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
_WIDEST = 100


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line: the usage of a command with forty options would hide it."""

    def error(self, message: str) -> NoReturn:
        """End the program with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def command_parser(
    program: str, description: str, *, notes: Sequence[str], statuses: Mapping[int, str], examples: Sequence[str]
) -> argparse.ArgumentParser:
    """A parser whose help ends with notes, exit statuses and examples.

    notes: paragraphs; statuses: what each exit status means, besides 2 and 130; examples: arguments of the command.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
    known = {**statuses, 2: "wrong command line", INTERRUPTED: "interrupted by Ctrl-C"}
    exits = ", ".join(f"{status} {meaning}" for status, meaning in sorted(known.items()))
    paragraphs = [textwrap.fill(text, width) for text in (*notes, f"Exit status: {exits}.")]
    paragraphs.append("\n".join(["examples:", *(f"  {program} {example}" for example in examples)]))
    return CommandParser(
        prog=program,
        description=textwrap.fill(description, width),
        epilog="\n\n".join(paragraphs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
