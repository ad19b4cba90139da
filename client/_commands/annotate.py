"""The command `annotate`: ask a person which videos to keep, or compare what two people said."""

import argparse
import getpass
import json
import shlex
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import asdict

from .._annotate.agreement import Agreement, agreement
from .._annotate.page_file import page_text
from .._annotate.pool import pool_of
from .._annotate.server import AnnotationServer
from .._annotate.store import Store
from .._counted import counted
from .._learn.answers import LEAST_ANSWERS, Part, agreed, read_answers
from .._learn.errors import LearnError
from .._report.previews import Preview, make_previews
from .._runs.interruption import interruptible
from .._tables.columns import check_motion
from .._tables.replace import replacing
from .._tables.table import Metadata, TableError, read_metadata
from .output_files import check_output, is_page
from .parser import command_parser
from .path_arguments import local_path
from .program import sibling

MOST_VIDEOS = 5000
QUESTION = "Is this video worth keeping?"
NOTES = (
    "The command shows the page in a browser on this machine, and saves each answer in --output at once; answers that "
    "the file has are taken up. With --page it writes the page instead, which needs no network and no command: send it "
    "to somebody, who exports a file of answers.",
    "Videos are a random sample of the table. After ten answers, the uncertain and varied ones come first.",
)
STATUSES = {0: "done", 1: "a file cannot be read or written"}
EXAMPLES = (
    "scores.parquet --output annotations.csv",
    "--compare ann.csv bob.csv",
)


def main(arguments: list[str] | None = None, program: str = "video-motion annotate") -> int:
    """Parse the command line, ask or compare; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    try:
        if options.compare:
            if options.scores or options.output or options.page:
                parser.error("--compare FILE FILE takes neither a table nor --output nor --page")
            return _compare(options)
        if options.scores is None or options.output is None:
            parser.error("give a table of scores and --output FILE, or --compare FILE FILE")
        if options.output.suffix != ".csv":
            parser.error(f"--output {options.output} must end in .csv")
        if options.page and options.page.suffix.lower() not in (".html", ".htm"):
            parser.error(f"--page {options.page} must end in .html")
        if options.page:
            check_output(parser, "--page", options.page, "page", is_page)
        return _ask(options, program)
    except (LearnError, TableError) as error:
        print(error, file=sys.stderr)
        return 1


def _ask(options: argparse.Namespace, program: str) -> int:
    metadata = read_metadata(options.scores)
    check_motion(options.scores, metadata)
    try:
        page, store, asked, without = _page(options, metadata, program)
        if not asked:
            print(f"{options.scores} has no scored video that was not answered", file=sys.stderr)
            return 1
        if (most := asked + len(store.answered())) < LEAST_ANSWERS:
            few = f"there will be {most} answers at most, and `{sibling(program, 'learn')}` needs {LEAST_ANSWERS}"
            print(f"NOTE: {few}", file=sys.stderr)
        if without:
            have = "has" if without == 1 else "have"
            print(
                f"{without} of {counted(asked, 'video')} {have} no preview: not found or not decoded", file=sys.stderr
            )
        if options.page:
            with replacing(options.page) as partial:
                partial.write_text(page, "utf-8")
            print(f"{options.page}: {counted(asked, 'video')}, {options.page.stat().st_size / 1e6:.1f} MB")
            return 0
        return _serve(page, store, options)
    except OSError as error:
        print(f"cannot write {options.page or options.output}: {error.strerror or error}", file=sys.stderr)
        return 1


def _page(options: argparse.Namespace, metadata: Metadata, program: str) -> tuple[str, Store, int, int]:
    """The page, where its answers go, and how many videos it asks about, with and without a preview."""
    taken_up = Store(options.output, options.annotator, ()).answered()
    pool = pool_of(options.scores, metadata, taken_up, options.videos, options.seed)
    store = Store(options.output, options.annotator, pool.parts)
    wanted = [segment for part, segment in zip(pool.parts, pool.segments, strict=True) if part not in taken_up]
    made = make_previews(segment for segment in wanted if segment is not None)
    not_found = Preview(None, "the file was not found")
    previews = [
        None if part in taken_up else not_found if segment is None else made[segment]
        for part, segment in zip(pool.parts, pool.segments, strict=True)
    ]
    learn = [sibling(program, "learn"), shlex.quote(str(options.scores)), "--annotations"]
    text = page_text(
        pool,
        previews,
        taken_up,
        annotator=options.annotator,
        question=options.question,
        file_name=options.output.name,
        learn_command=" ".join([*learn, shlex.quote(str(options.output)), "--output filter.json"]),
        is_served=not options.page,
    )
    asked = [preview for preview in previews if preview is not None]
    return text, store, len(asked), sum(preview.mp4 is None for preview in asked)


def _serve(page: str, store: Store, options: argparse.Namespace) -> int:
    server = AnnotationServer(page, store, options.port)
    print(f"the page is at {server.url}; Finish there, or Ctrl-C here, ends it", file=sys.stderr, flush=True)
    if not options.no_open:
        webbrowser.open(server.url)
    with interruptible(server.stop, "ending"):
        server.serve()
    if server.problem:
        print(server.problem, file=sys.stderr)
        return 1
    answered = len(Store(store.path, store.annotator, ()).answered()) if store.path.exists() else 0
    print(f"{store.path}: {counted(answered, 'answer')} of {store.annotator}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    sides: list[Mapping[Part, bool]] = [agreed(read_answers(path))[0] for path in options.compare]
    found = agreement(*sides)
    if not found.both:
        counts = f"{found.only_first:,} and {found.only_second:,}"
        first, second = options.compare
        raise LearnError(f"{first} and {second} have {counts} answers, and none about the same part of a video")
    if (options.format or ("table" if sys.stdout.isatty() else "json")) == "json":
        content = asdict(found) | {"disputed": [list(part) for part in found.disputed]}
        print(json.dumps(content))
    else:
        print(_table(found))
    return 0


def _table(found: Agreement) -> str:
    """The comparison as lines of text for a person."""
    lines = [f"both answered    {found.both:,}", f"only the first   {found.only_first:,}"]
    lines += [f"only the second  {found.only_second:,}", f"same answer      {found.agreed:.1%}"]
    if found.kappa is None:
        lines.append("Cohen's kappa    not defined: both gave one and the same answer to all")
    else:
        lines.append(f"Cohen's kappa    {found.kappa:.2f} ({found.low:.2f} to {found.high:.2f}, 95 % interval)")
    for video, start, end in found.disputed:
        part = (
            ""
            if start is None and end is None
            else f", {start or 0:g} s to {'the end' if end is None else f'{end:g} s'}"
        )
        lines.append(f"  differ: {video}{part}")
    return "\n".join(lines)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Say yes or no, one video after the other: what a filter learns from.",
        notes=(*NOTES, f"`{sibling(program, 'learn')} SCORES --annotations FILE` learns from the answers."),
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    score = sibling(program, "score")
    parser.add_argument(
        "scores", metavar="SCORES", nargs="?", type=local_path, help=f"table that `{score} --output` wrote"
    )
    parser.add_argument("--output", type=local_path, metavar="FILE", help="the answers: a .csv file")
    parser.add_argument("--page", type=local_path, metavar="FILE", help="write the page, an .html file, and end")
    parser.add_argument("--annotator", default=_user(), metavar="NAME", help="who answers (default: %(default)s)")
    parser.add_argument(
        "--question",
        default="Is this video worth keeping?",
        metavar="TEXT",
        help="what the page asks (default: %(default)s)",
    )
    parser.add_argument(
        "--videos", type=_count, default=200, metavar="N", help="videos to ask about (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random sample (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the page (default: any that is free)")
    parser.add_argument("--no-open", action="store_true", help="print the page's address, and open no browser")
    parser.add_argument(
        "--compare", nargs=2, type=local_path, metavar="FILE", help="compare two people's answers: Cohen's kappa"
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="format of --compare (default: table on a terminal, else JSON)"
    )
    return parser


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "annotator"


def _count(text: str) -> int:
    """A whole number from 1 to `MOST_VIDEOS`: each preview takes some 50 kB of the page."""
    number = int(text)
    if not 1 <= number <= MOST_VIDEOS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MOST_VIDEOS}")
    return number
