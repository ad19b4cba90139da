"""The command `caption`: captions of videos by a vision-language model."""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from .._captions.api import Answer, ChatModel
from .._captions.errors import CaptionError
from .._captions.frames import pictures_of
from .._captions.journal import CaptionJournal
from .._captions.output import SUFFIXES, write_captions
from .._captions.prompt import fill, read_template
from .._captions.rows import columns_of, key_of, motion_of, own_captions, scored_rows
from .._captions.run import CaptionRun, Limits
from .._counted import counted
from .._evaluate.errors import EvaluationError
from .._evaluate.texts import Texts, near, read_texts
from .._os_errors import reason_of
from .._remote.copies import Copies
from .._runs.interruption import RESUME, interruptible
from .._runs.progress import ProgressBar
from .._tables.here import table_here
from .._tables.row import PART_COLUMNS, PHRASE_COLUMNS
from .._tables.table import Metadata, TableError, read_metadata
from .output_files import trouble_with_outputs
from .parser import command_parser
from .path_arguments import identity, local_path, path_or_url

KEY_VARIABLE = "OPENAI_API_KEY"
CAPTION = "caption"
NOTES = (
    "Any server of the OpenAI chat API whose model takes pictures will do: vLLM, SGLang, Triton's own OpenAI front "
    "end, Gemini's compatible address. The key comes from an environment variable (--key-variable), and is never "
    "written.",
    "The model sees frames of each part, the older caption if there is one, and in words how the video moves. An "
    "answer must be lower case, English and no longer than --words; otherwise it is asked for again, at most twice.",
    "OUTPUT.journal beside the table keeps every answer. If a run was stopped or killed, run the same command again "
    "to resume.",
)
STATUSES = {0: "every video has a caption", 1: "some have none, or the run stopped"}
EXAMPLES = (
    "kept.parquet --api http://localhost:9000/v1 --model Qwen/Qwen2.5-VL-7B-Instruct --output captions.parquet",
    "kept.parquet --api URL --model NAME --texts old.csv --prompt prompt.txt --output captions.parquet",
)


def main(arguments: list[str] | None = None, program: str = "video-motion caption") -> int:
    """Parse the command line, ask for captions, write them; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    _check(parser, options)
    journal_path = options.output.with_name(f"{options.output.name}.journal")
    try:
        template = read_template(options.prompt)
        if options.output.exists() and not journal_path.exists():
            raise CaptionError(f"{options.output} exists, but {journal_path.name} does not: choose another name")
        terms: dict[str, Any] = {
            "model": options.model,
            "prompt": hashlib.sha256(template.encode()).hexdigest(),
            **{name: getattr(options, name) for name in ("frames", "size", "words")},
            "table": str(identity(options.scores)),
            "list of captions": str(options.texts.resolve()) if options.texts else None,
        }
        model = ChatModel(
            options.api,
            options.model,
            os.environ.get(options.key_variable or KEY_VARIABLE) or None,
            timeout_seconds=options.timeout,
            words=options.words,
        )
        with table_here(options.scores) as scores, closing(model):
            metadata = read_metadata(scores)
            texts = _texts(options, scores, metadata)
            terms["column of captions"] = options.caption or CAPTION if texts else None

            def rows() -> Iterator[dict[str, Any]]:
                return _with_texts(scored_rows(scores, metadata), texts, options)

            with closing(CaptionJournal(journal_path, terms)) as journal, closing(Copies()) as copies:

                def pictures(row: dict[str, Any]) -> list[bytes]:
                    return pictures_of(row, scores, copies, options.frames, options.size)

                return _run(options, model, journal, template, rows, pictures)
    except (TableError, EvaluationError, CaptionError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parser.prog}: cannot write {options.output}: {reason_of(error)}", file=sys.stderr)
        return 1


def _run(
    options: argparse.Namespace,
    model: ChatModel,
    journal: CaptionJournal,
    template: str,
    rows: Callable[[], Iterator[dict[str, Any]]],
    pictures_of_row: Callable[[dict[str, Any]], list[bytes]],
) -> int:
    def ask(row: dict[str, Any]) -> Answer:
        pictures = pictures_of_row(row)
        motion = row[PHRASE_COLUMNS[0]]
        prompt = fill(template, caption=row["caption"], motion=motion, frames=len(pictures), words=options.words)
        return model.caption(prompt, pictures)

    with closing(ProgressBar()) as progress:
        run = CaptionRun(journal, ask, Limits(options.in_flight, options.max_cost_tokens), progress.say)
        with interruptible(run.stop) as interruption:
            try:
                run.run(rows(), retry_failed=options.retry_failed, done=lambda failed: progress.done(failed=failed))
            finally:
                write_captions(options.output, journal)
    count, failures, tokens = journal.counts()
    if run.stopped:
        print(f"stopped: {run.stopped}", file=sys.stderr)
    resume, videos = "", counted(count, "video")
    if run.stopped or interruption.status:
        resume = "; raise --max-cost-tokens to go on" if run.reached_limit else f"; {RESUME}"
        videos = f"{count:,} of {counted(len(set(map(key_of, rows()))), 'video')}"
    retry = " (retry them with --retry-failed)" if failures and not resume else ""
    print(
        f"{options.output}: {videos}, {failures:,} failed{retry}; {counted(tokens, 'token')}{resume}", file=sys.stderr
    )
    return interruption.status or (1 if run.stopped or failures else 0)


def _texts(options: argparse.Namespace, scores: Path, metadata: Metadata) -> Texts | None:
    """The older captions; None if there are none, and none were asked for."""
    column = options.caption or CAPTION
    if options.texts:
        return read_texts(options.texts, [column])
    texts = own_captions(scores, metadata, column)
    if texts is None and options.caption:
        similar = near(column, columns_of(scores, metadata))
        raise CaptionError(
            f"{options.scores} has no column {column}{similar}: name another one, or a list with --texts"
        )
    return texts


def _with_texts(
    rows: Iterator[dict[str, Any]], texts: Texts | None, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The rows with what the journal keeps of them, and what pictures need."""
    column = options.caption or CAPTION
    for row in rows:
        given = {} if texts is None else texts.of(row["video"], row["start_seconds"], row["end_seconds"])
        kept = {name: row[name] for name in ("video", *PART_COLUMNS, "duration_seconds")}
        clips = [{"start_seconds": clip["start_seconds"]} for clip in (row["clips"] or ())[:1]]
        said = {"caption": given.get(column), PHRASE_COLUMNS[0]: motion_of(row), "model": options.model}
        yield kept | {"clips": clips} | said


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for name, value, low, high in (
        ("--frames", options.frames, 1, 64),
        ("--size", options.size, 16, 4096),
        ("--words", options.words, 1, 1000),
        ("--in-flight", options.in_flight, 1, 1024),
        ("--max-cost-tokens", options.max_cost_tokens, 1, None),
    ):
        if value is not None and (value < low or (high is not None and value > high)):
            allowed = f"at least {low}" if high is None else f"from {low} to {high}"
            parser.error(f"{name} is {value}, it must be {allowed}")
    if not options.timeout > 0:
        parser.error(f"--timeout is {options.timeout:g}, it must be above 0")
    if options.output.suffix.lower() not in SUFFIXES:
        parser.error(f"--output {options.output} must end in {' or '.join(SUFFIXES)}")
    if not options.api.startswith(("http://", "https://")):
        parser.error("--api must be an address that begins with http:// or https://")
    if options.key_variable and not os.environ.get(options.key_variable):
        parser.error(f"--key-variable {options.key_variable}: the environment has no such variable, or it is empty")
    inputs = {"the table": options.scores, "--texts": options.texts, "--prompt": options.prompt}
    if trouble := trouble_with_outputs({"--output": options.output}, inputs):
        parser.error(trouble)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Captions of the videos of a table, by a vision-language model behind the OpenAI chat API.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "scores", metavar="SCORES", type=path_or_url, help="table of the videos, or of parts of them; a path or a URL"
    )
    parser.add_argument("--api", required=True, metavar="URL", help="address of the API, such as http://host:8000/v1")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model, as the API names it")
    parser.add_argument(
        "--output", required=True, type=local_path, metavar="FILE", help="table to write: .parquet or .jsonl"
    )
    parser.add_argument(
        "--key-variable",
        metavar="NAME",
        help=f"environment variable with the key (default: {KEY_VARIABLE}, if it is set); servers of your own may need "
        "none",
    )
    parser.add_argument(
        "--caption",
        metavar="COLUMN",
        help=f"column of the older caption, in the table or in --texts (default: {CAPTION}, if there is one)",
    )
    parser.add_argument(
        "--texts",
        type=local_path,
        metavar="FILE",
        help="list with the columns video and COLUMN: .csv, .jsonl or .parquet",
    )
    parser.add_argument(
        "--prompt", type=local_path, metavar="FILE", help="template of the prompt, instead of the built-in one"
    )
    parser.add_argument(
        "--frames", type=int, default=3, metavar="N", help="frames, from the first to the last (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=240, metavar="PIXELS", help="width and height of a frame (default: %(default)s)"
    )
    parser.add_argument(
        "--words", type=int, default=100, metavar="N", help="most words of a caption (default: %(default)s)"
    )
    parser.add_argument(
        "--in-flight", type=int, default=8, metavar="N", help="videos in flight at once (default: %(default)s)"
    )
    parser.add_argument(
        "--max-cost-tokens", type=int, metavar="N", help="begin no video once the table has taken so many tokens"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="longest wait for an answer (default: %(default)g)",
    )
    parser.add_argument("--retry-failed", action="store_true", help="ask again for videos that have no caption")
    return parser
