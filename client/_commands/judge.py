"""`video-motion judge PROMPTS VIDEOS`: whether a generator did what the prompts asked."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .._counted import counted
from .._inputs.errors import InputError
from .._inputs.names import shown
from .._judge.errors import Interrupted, JudgeError
from .._judge.flow import dynamic
from .._judge.folder import STAMP, Folder
from .._judge.judgement import Judgement, compare, judge
from .._judge.notes import notes_about, notes_between
from .._judge.observed import Observed, Scored, match, read_observed
from .._judge.page import NOT_TOLD, page
from .._judge.prompts import MOVE, Prompt, read_prompts
from .._judge.stale import stale
from .._judge.statistics import Interval
from .._runs.interruption import RESUME
from .._runs.table_run import Again, run_table
from .._sdk.client import Client
from .._tables.journal import JournalError
from .._tables.output import OutputError
from .._tables.replace import replacing
from .._tables.table import FORMATS, TableError
from ..errors import ClientError
from .encryption import add_encryption_arguments, tls_from
from .output_files import check_output, is_json_with, is_page, trouble_with_outputs
from .parser import INTERRUPTED, command_parser
from .path_arguments import local_path
from .program import sibling
from .server_url import HELP as URL_HELP
from .server_url import server_url

NAMED = 10
"""Of the prompts or videos without something, so many are named on standard error."""
NOTES = (
    "PROMPTS is a CSV file with a column prompt, and perhaps move (camera moves with ; between them), category, and "
    "video (the file's name). Without move, the moves are found in the prompt's words, if they are certain; without "
    "video, a file is named by its prompt, or the prompt, a hyphen and a number.",
    "VIDEOS is a folder, which is scored first into a table beside the page, or a table of scores. Give two to compare "
    "generators on the same prompts. In later runs, files that are new or have changed are scored; a table of files "
    "that have changed is refused.",
    "A move is shown if any clip has its label; static, if every clip has it. Shares have Wilson's 95 % intervals.",
)
STATUSES = {0: "done", 1: "a file or the server cannot be used, a prompt has no video, or a video has no scores"}
EXAMPLES = (
    "prompts.csv videos/ --output judge.html",
    "prompts.csv ours.parquet theirs.parquet --dynamic-degree --output judge.html --json judge.json",
)


@dataclass(frozen=True)
class Generator:
    """What is known of a generator's videos."""

    name: Path
    """What the command line calls it."""
    scored: Scored
    """Its table."""
    videos: list[list[Observed]]
    """For each prompt its videos."""
    failed: list[list[tuple[str, str]]]
    """For each prompt those without scores, and why."""
    notes: list[str]
    """What to know of its files."""


def main(arguments: list[str] | None = None, program: str = "video-motion judge") -> int:
    """Parse the command line, score what is a folder, judge, write the page; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        prompts = read_prompts(options.prompts, options.moves)
        generators = [_generator(parser, options, name, prompts) for name in options.videos]
        judgements = [_judge(each, prompts, with_flow=options.dynamic_degree) for each in generators]
        comparisons, notes = [], []
        if len(generators) == 2:
            first, second = generators
            notes = notes_between(first.scored.metadata, second.scored.metadata)
            comparisons = compare(prompts, first.videos, second.videos, _labels_of_both(first, second))
        with replacing(options.output) as new:
            new.write_text(page(judgements, comparisons, "What was asked and what is shown", notes), "utf-8")
        if options.json:
            content = {
                "generators": [each.as_dict() for each in judgements],
                "comparison": [asdict(each) for each in comparisons],
                "notes": notes,
            }
            with replacing(options.json) as new:
                new.write_text(json.dumps(content, indent=2) + "\n")
    except Interrupted as error:
        print(f"{program}: {error}", file=sys.stderr)
        return INTERRUPTED
    except (JudgeError, ClientError, InputError, OutputError, JournalError, TableError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{program}: cannot write {error.filename}: {error.strerror or error}", file=sys.stderr)
        return 1
    for note in notes:
        print(f"NOTE: {note}", file=sys.stderr)
    for judgement in judgements:
        _warn(program, judgement)
        print(_summary(judgement))
    print(f"wrote {options.output}")
    return 1 if any(judgement.missing or judgement.failed for judgement in judgements) else 0


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if len(options.videos) > 2:
        parser.error("name one or two generators")
    if len({path.resolve() for path in options.videos}) < len(options.videos):
        parser.error("both generators are the same")
    if options.output.suffix != ".html":
        parser.error(f"--output {options.output} must end in .html")
    if options.retry_failed and not any(path.is_dir() for path in options.videos):
        parser.error("--retry-failed is for a folder; a table is taken as it is")
    if not options.in_flight > 0:
        parser.error(f"--in-flight is {options.in_flight}, it must be above 0")
    outputs = {"--output": options.output, "--json": options.json}
    inputs = {"PROMPTS": options.prompts, **{f"VIDEOS {path}": path for path in options.videos}}
    if trouble := trouble_with_outputs(outputs, inputs):
        parser.error(trouble)
    check_output(parser, "--output", options.output, "page", is_page)
    if options.json:
        check_output(parser, "--json", options.json, "judgement", partial(is_json_with, key="generators"))


def _generator(
    parser: argparse.ArgumentParser, options: argparse.Namespace, name: Path, prompts: list[Prompt]
) -> Generator:
    """What is known of a generator; a folder is scored, or its run is resumed."""
    if name.suffix.lower() in FORMATS and not name.is_dir():
        scored = read_observed(name)
    elif name.is_dir():
        scored = _of_folder(parser, options, name)
    else:
        raise JudgeError(f"{name} is neither a folder nor a table ({', '.join(FORMATS)})")
    videos = match(prompts, scored.videos)
    failed = match(prompts, {video: (video, why) for video, why in scored.failed.items()})
    if not any(videos):
        what = "no scored video" if any(failed) else "no video"
        raise JudgeError(f"{name} has {what} of any prompt: a file is named by its prompt, or in the column video")
    notes = [] if name.is_dir() else _check_files(name, scored, videos)
    return Generator(name, scored, videos, failed, notes)


def _check_files(table: Path, scored: Scored, videos: list[list[Observed]]) -> list[str]:
    """Refuse a table of which files have changed; returns notes about those that may have."""
    found = stale(table, scored.metadata, {video.video for each in videos for video in each})
    if found.changed:
        have = "has" if len(found.changed) == 1 else "have"
        what = f"{counted(len(found.changed), 'file')} of {table} {have} changed since the scores were made"
        raise JudgeError(f"{what}, such as {shown(found.changed[0])}: name the folder, which scores what has changed")
    if found.newer:
        are, scores = ("is", "its scores") if len(found.newer) == 1 else ("are", "their scores")
        files = f"{counted(len(found.newer), 'file')} {are} newer than the table, such as {shown(found.newer[0])}"
        return [f"{files}: {scores} may be those of another video; name the folder to have it scored as it is now"]
    return []


def _of_folder(parser: argparse.ArgumentParser, options: argparse.Namespace, name: Path) -> Scored:
    folder = Folder(name)
    table = folder.table_beside(options.output)
    with Client(
        options.url or "localhost:8001", max_in_flight=options.in_flight, retries=10, tls=tls_from(parser, options)
    ) as client:
        again = Again(failed=options.retry_failed, changed=True)
        status = run_table(client, folder, table, {}, in_flight=options.in_flight, kept=STAMP, again=again)
    if status > 1:
        raise Interrupted(f"{name} is not scored to its end: {RESUME}")
    there = folder.videos()
    scored = read_observed(table, there)
    if without := len(there) - len(scored.videos) - len(scored.failed):
        raise JudgeError(f"{counted(without, 'video')} of {name} of {len(there):,} could not be scored now: {RESUME}")
    if scored.left_out:
        have = "is" if scored.left_out == 1 else "are"
        videos = counted(scored.left_out, "video")
        print(f"{videos} of {table} {have} not in {name} any more, and left out", file=sys.stderr)
    return scored


def _judge(generator: Generator, prompts: list[Prompt], *, with_flow: bool) -> Judgement:
    videos = generator.videos
    flow = dynamic(video.video for found in videos for video in found) if with_flow else None
    metadata = generator.scored.metadata
    judgement = judge(str(generator.name), prompts, videos, flow, failed=generator.failed, labels=metadata.labels)
    judgement.weights = metadata.weights
    judgement.parameters = metadata.parameters
    judgement.notes = [*notes_about(metadata), *generator.notes]
    return judgement


def _labels_of_both(first: Generator, second: Generator) -> set[str]:
    """The labels that both have; those of one if the other's table does not say."""
    known = [set(each.scored.metadata.labels) for each in (first, second) if each.scored.metadata.labels]
    return set.intersection(*known) if known else set()


def _warn(program: str, judgement: Judgement) -> None:
    for note in judgement.notes:
        print(f"NOTE: {judgement.name}: {note}", file=sys.stderr)
    for sentence in _named("prompt", "no video", judgement.missing):
        print(f"{program}: {judgement.name}: {sentence}", file=sys.stderr)
    failed = [f"{each.video}: {each.why}" for each in judgement.failed]
    for sentence in _named("video", "no scores", failed):
        print(f"{program}: {judgement.name}: {sentence}", file=sys.stderr)


def _named(noun: str, what: str, names: list[str]) -> Iterator[str]:
    """How many have none, and which: a line each."""
    if names:
        yield f"{counted(len(names), noun)} {'has' if len(names) == 1 else 'have'} {what}"
        yield from (shown(name) for name in names[:NAMED])
        if len(names) > NAMED:
            yield f"... and {len(names) - NAMED:,} more (--json has all)"


def _summary(judgement: Judgement) -> str:
    lines = [f"{judgement.name}: {counted(judgement.videos, 'video')} of {counted(judgement.prompts, 'prompt')}"]
    if judgement.no_move_asked:
        lines.append(f"  {'no move asked':14} {counted(judgement.no_move_asked, 'prompt'):>12}")
    for each in judgement.adherence:
        share = NOT_TOLD if each.share is None else _percent(each.share)
        lines.append(f"  {each.move:14} {counted(each.videos, 'video'):>12}  {share}")
    for name, found in (("moving", judgement.moving), ("dynamic degree", judgement.dynamic_degree)):
        if found is not None:
            lines.append(f"  {name:27} {_percent(found)}")
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
    parser.add_argument("prompts", metavar="PROMPTS", type=local_path, help="CSV file of prompts")
    parser.add_argument(
        "videos",
        metavar="VIDEOS",
        type=local_path,
        nargs="+",
        help=f"a folder of videos, or the table that `{sibling(program, 'score')} --output` wrote; at most two",
    )
    parser.add_argument(
        "--moves",
        metavar="COLUMN",
        help=f"column of PROMPTS with the moves that are asked for (default: {MOVE}, if there)",
    )
    parser.add_argument("--output", required=True, type=local_path, metavar="FILE", help="the page: a .html file")
    parser.add_argument("--json", type=local_path, metavar="FILE", help="the same as JSON")
    parser.add_argument(
        "--dynamic-degree",
        action="store_true",
        help="measure VBench's dynamic degree as well, which decodes every video here",
    )
    parser.add_argument("--retry-failed", action="store_true", help="score videos of a folder again that failed before")
    parser.add_argument("--url", action="append", type=server_url, metavar="HOST:PORT", help=URL_HELP)
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="videos in flight at once (default: %(default)s)"
    )
    add_encryption_arguments(parser)
    return parser
