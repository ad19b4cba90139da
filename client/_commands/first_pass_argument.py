"""The option `--first-pass` of `score`."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from .._first_pass.first_pass import MEASURE, FirstPass
from .._first_pass.thresholds import DEFAULT, read_thresholds
from .._optional import missing
from .engines import LOCAL

OPTION = "--first-pass"
_DEFAULT = "default"


def add_first_pass(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        OPTION,
        metavar="FILE.json",
        help="look at each video first, and do not send what is surely static, black or frozen; FILE.json has "
        f"thresholds of your own, and may be left out; '{MEASURE}' in its place sends all and writes what was seen",
    )


def with_value(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a value for the option where it has none: argparse would take the video after it."""
    given: list[str] = []
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=False):
        is_bare = argument == OPTION and not (after in (MEASURE, _DEFAULT) or after.endswith(".json"))
        given.append(f"{OPTION}={_DEFAULT}" if is_bare else argument)
    return given


def first_pass_of(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> AbstractContextManager[FirstPass | None]:
    """What the option asks for; None without it. Raises `FirstPassError`, and ImportError without PyAV."""
    if options.first_pass is None:
        return nullcontext()
    if options.engine != LOCAL:
        parser.error(f"{OPTION} looks at the videos on this machine: leave out --engine {options.engine}")
    if options.first_pass not in (MEASURE, _DEFAULT) and not options.first_pass.endswith(".json"):
        parser.error(f"{OPTION} {options.first_pass}: thresholds are in a file that ends in .json")
    if sentence := missing(OPTION, "av", extra="video"):
        raise ImportError(sentence)
    if options.first_pass == MEASURE:
        return FirstPass(None, jobs=options.in_flight)
    thresholds = DEFAULT if options.first_pass == _DEFAULT else read_thresholds(Path(options.first_pass))
    return FirstPass(thresholds, jobs=options.in_flight)
