"""`video-motion judge PROMPTS VIDEOS`: whether a generator did what the prompts asked."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from .._inputs.errors import InputError
from .._inputs.inputs import Inputs
from .._judge.errors import JudgeError
from .._judge.flow import dynamic
from .._judge.judgement import Judgement, compare, judge
from .._judge.observed import Observed, match, read_observed
from .._judge.page import page
from .._judge.prompts import Prompt, read_prompts
from .._judge.statistics import Interval
from .._runs.table_run import run_table
from .._sdk.client import Client
from .._tables.journal import JournalError
from .._tables.output import OutputError
from .._tables.replace import replacing
from .._tables.table import FORMATS
from ..errors import ClientError
from .encryption import add_encryption_arguments, tls_from
from .output_files import check_output, is_page
from .parser import command_parser
from .program import sibling
from .server_url import HELP as URL_HELP
from .server_url import server_url

NOTES = (
    "PROMPTS is a CSV file with a column prompt, and perhaps move (camera moves with ; between them), category, and "
    "video (the file's name). Without move, the moves are found in the prompt's words; without video, a file is named "
    "by its prompt, or the prompt, a hyphen and a number.",
    "VIDEOS is a folder, which is scored first into FOLDER.scores.parquet beside the page, or a table of scores. Give "
    "two to compare generators on the same prompts.",
    "A move is shown if any clip has its label; static, if every clip has it. Shares have Wilson's 95 % intervals.",
)
STATUSES = {0: "done", 1: "a file or the server cannot be used, or a prompt has no video"}
EXAMPLES = (
    "prompts.csv videos/ --output judge.html",
    "prompts.csv ours.parquet theirs.parquet --dynamic-degree --output judge.html --json judge.json",
)


def main(arguments: list[str] | None = None, program: str = "video-motion judge") -> int:
    """Parse the command line, score what is a folder, judge, write the page; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if len(options.videos) > 2:
        parser.error("name one or two generators")
    if len({path.resolve() for path in options.videos}) < len(options.videos):
        parser.error("both generators are the same")
    if options.output.suffix != ".html":
        parser.error(f"--output {options.output} must end in .html")
    check_output(parser, "--output", options.output, "page", is_page)
    try:
        prompts = read_prompts(options.prompts)
        matched, judgements = [], []
        for name in options.videos:
            table = _scores(parser, options, name)
            found, failed = read_observed(table)
            videos = match(prompts, found)
            _warn(program, name, prompts, videos, failed)
            matched.append(videos)
            judgements.append(_judge(name, prompts, videos, with_flow=options.dynamic_degree))
        comparisons = compare(prompts, *matched) if len(matched) == 2 else []
        with replacing(options.output) as partial:
            partial.write_text(page(judgements, comparisons, "What was asked and what is shown"))
        if options.json:
            content = {
                "generators": [each.as_dict() for each in judgements],
                "comparison": [asdict(each) for each in comparisons],
            }
            with replacing(options.json) as partial:
                partial.write_text(json.dumps(content, indent=2) + "\n")
    except (JudgeError, ClientError, InputError, OutputError, JournalError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{program}: cannot write {error.filename}: {error.strerror or error}", file=sys.stderr)
        return 1
    for judgement in judgements:
        print(_summary(judgement))
    print(f"wrote {options.output}")
    return 1 if any(judgement.missing for judgement in judgements) else 0


def _scores(parser: argparse.ArgumentParser, options: argparse.Namespace, videos: Path) -> Path:
    """The table of a generator; a folder is scored, or its run is resumed."""
    if videos.suffix.lower() in FORMATS:
        return videos
    if not videos.is_dir():
        raise JudgeError(f"{videos} is neither a folder nor a table ({', '.join(FORMATS)})")
    table: Path = options.output.with_name(f"{videos.resolve().name}.scores.parquet")
    with Client(
        options.url or "localhost:8001", max_in_flight=options.in_flight, retries=10, tls=tls_from(parser, options)
    ) as client:
        run_table(client, Inputs([str(videos)], []), table, {}, in_flight=options.in_flight)
    return table


def _judge(name: Path, prompts: list[Prompt], videos: list[list[Observed]], *, with_flow: bool) -> Judgement:
    flow = dynamic(video.video for found in videos for video in found) if with_flow else None
    return judge(str(name), prompts, videos, flow)


def _warn(program: str, name: Path, prompts: list[Prompt], videos: list[list[Observed]], failed: int) -> None:
    if not any(videos):
        raise JudgeError(f"{name} has no video of any prompt: a file is named by its prompt, or in the column video")
    without = sum(not found for found in videos)
    if without or failed:
        print(
            f"{program}: {name}: {without} of {len(prompts)} prompts have no video, {failed} videos have no scores",
            file=sys.stderr,
        )


def _summary(judgement: Judgement) -> str:
    lines = [f"{judgement.name}: {judgement.videos} videos of {judgement.prompts} prompts"]
    for each in judgement.adherence:
        lines.append(f"  {each.move:14} {each.videos:5} videos  {_percent(each.share)}")
    for name, share in (("moving", judgement.moving), ("dynamic degree", judgement.dynamic_degree)):
        if share is not None:
            lines.append(f"  {name:27} {_percent(share)}")
    return "\n".join(lines)


def _percent(share: Interval) -> str:
    return f"{share.value:6.1%} ({share.low:.1%} to {share.high:.1%})"


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Judge a video generator: do its videos show the camera moves that the prompts ask for, and how do they move?",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="CSV file of prompts")
    parser.add_argument(
        "videos",
        metavar="VIDEOS",
        type=Path,
        nargs="+",
        help=f"a folder of videos, or the table that `{sibling(program, 'score')} --output` wrote; at most two",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the page: a .html file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same as JSON")
    parser.add_argument(
        "--dynamic-degree",
        action="store_true",
        help="measure VBench's dynamic degree as well, which decodes every video here",
    )
    parser.add_argument("--url", action="append", type=server_url, metavar="HOST:PORT", help=URL_HELP)
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="videos in flight at once (default: %(default)s)"
    )
    add_encryption_arguments(parser)
    return parser
