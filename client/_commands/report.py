"""`video-motion report SCORES`: write one HTML page for choosing thresholds."""

import argparse
import sys
from pathlib import Path

from .._counted import counted
from .._learn.errors import LearnError
from .._optional import missing
from .._report.learned_score import DEFAULT_AT, LearnedScore
from .._report.write import write_report
from .._tables.here import table_here
from .._tables.table import TableError, read_metadata, table_schema
from .output_files import check_folder, check_output, is_page
from .parser import command_parser
from .path_arguments import identity, local_path, path_or_url
from .preset_arguments import add_preset_arguments, presets_from, probability
from .program import sibling

NOTES = (
    "The page needs no network and no server: open it in a browser. Without --drop, the presets of the three scores "
    "are on, and those with cut-offs on the command line; the others are there if the table has measures. A relative "
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
        "scores",
        metavar="SCORES",
        type=path_or_url,
        help=f"table that `{sibling(program, 'score')} --output` wrote; a path or a URL",
    )
    parser.add_argument(
        "--output", type=local_path, default=Path("report.html"), metavar="FILE", help="the page (default: %(default)s)"
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=3,
        metavar="N",
        help="videos on each side of each threshold; 0: no gallery (default: %(default)s)",
    )
    parser.add_argument(
        "--learned",
        type=local_path,
        metavar="FILE",
        help=f"show the score of a filter that `{sibling(program, 'learn')}` wrote, and its threshold",
    )
    parser.add_argument(
        "--at", type=probability, metavar="P", help="threshold of --learned (default: 0.5, as in the command filter)"
    )
    add_preset_arguments(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.examples <= 50:
        parser.error(f"--examples is {options.examples}, it must be between 0 and 50")
    inputs = [identity(path) for path in (options.scores, options.learned) if path]
    if options.output.resolve() in inputs:
        parser.error(f"--output would overwrite the {'table' if options.output.resolve() == inputs[0] else 'filter'}")
    if options.output.suffix.lower() not in (".html", ".htm"):
        parser.error(f"--output {options.output} must end in .html")
    check_output(parser, "--output", options.output, "page", is_page)
    if options.at is not None and not options.learned:
        parser.error("--at is for --learned FILE")
    if options.learned and (sentence := missing("--learned", "xgboost", extra="learn")):
        print(sentence, file=sys.stderr)
        return 1
    try:
        check_folder(options.output)
        with table_here(options.scores) as scores:
            report = write_report(
                scores,
                options.output,
                named=str(options.scores),
                presets=presets_from(options),
                drop=options.drop,
                examples=options.examples,
                learned=_learned(scores, options) if options.learned else None,
                filter_command=sibling(program, "filter"),
                report_command=program,
            )
    except (TableError, LearnError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot write {options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    skipped = f" ({report.skipped:,} that a first pass skipped are not on the page)" if report.skipped else ""
    print(
        f"{report.path}: {counted(report.videos, 'video')}, {report.failed:,} failed{skipped}; "
        f"{counted(report.examples, 'example')}, {report.without_preview} without a preview; "
        f"{report.size_bytes / 1e6:.1f} MB"
    )
    return 0


def _learned(scores: Path, options: argparse.Namespace) -> LearnedScore:
    """The filter, if it fits the table. Raises `LearnError` and `TableError`."""
    from .._learn.learned_filter import LearnedFilter  # xgboost takes a second to import

    learned_filter = LearnedFilter.load(options.learned)
    metadata = read_metadata(scores)
    learned_filter.check(table_schema(scores, metadata), metadata, scores)
    at = DEFAULT_AT if options.at is None else options.at
    return LearnedScore(options.learned, at, learned_filter.probabilities)
