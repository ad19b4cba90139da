"""`video-motion report SCORES`: write one HTML page for choosing thresholds."""

import sys
from pathlib import Path

from .._report.write import write_report
from .._tables.table import TableError
from .parser import command_parser
from .preset_arguments import add_preset_arguments, presets_from
from .program import sibling

NOTES = (
    "The page needs no network and no server: open it in a browser. Without --drop, every preset is on. A relative "
    "path in the table is looked up from the current directory, then from the table's directory; a video that is not "
    "found has no preview.",
)
STATUSES = {0: "done", 1: "a file cannot be read or written"}
EXAMPLES = ("scores.parquet --output report.html", "scores.parquet --drop static --static camera=0.4")


def main(arguments: list[str] | None = None, program: str = "video-motion report") -> int:
    """Parse the command line, write the page, print what it contains, and return the exit status."""
    parser = command_parser(
        program,
        "Write one HTML page with the distributions of the scores, thresholds to drag, and example videos.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "scores", metavar="SCORES", type=Path, help=f"table that `{sibling(program, 'score')} --output` wrote"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("report.html"), metavar="FILE", help="the page (default: %(default)s)"
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=3,
        metavar="N",
        help="videos on each side of each threshold; 0: no gallery (default: %(default)s)",
    )
    add_preset_arguments(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.examples <= 50:
        parser.error(f"--examples is {options.examples}, it must be between 0 and 50")
    if options.output.resolve() == options.scores.resolve():
        parser.error("--output would overwrite the table")
    try:
        report = write_report(
            options.scores,
            options.output,
            presets=presets_from(options),
            drop=options.drop,
            examples=options.examples,
            filter_command=sibling(program, "filter"),
            report_command=program,
        )
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot write {options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(
        f"{report.path}: {report.videos:,} videos, {report.failed:,} failed; {report.examples} examples, "
        f"{report.without_preview} without a preview; {report.size_bytes / 1e6:.1f} MB"
    )
    return 0
