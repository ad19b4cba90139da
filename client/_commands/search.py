"""The command `search`: find the videos of a table that show what a sentence says."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .._counted import counted
from .._optional import missing
from .._os_errors import reason_of
from .._sdk.client import Client
from .._search.errors import SearchError
from .._search.frames import check_frames, frame_rows
from .._search.hits import Hit, best_hits
from .._search.output import write_hits, write_topics
from .._search.query import check_encoder, of_texts, of_video
from .._tables.here import table_here
from .._tables.row import PART_COLUMNS
from .._tables.rows_at import rows_at
from .._tables.table import Metadata, TableError, read_metadata
from ..errors import ClientError
from .output_files import check_output, is_page, trouble_with_outputs
from .parser import command_parser
from .path_arguments import local_path, name_of, path_or_url
from .program import sibling
from .server_arguments import add_server_arguments, client_from

MAX_TOP = 100_000
TEMPLATE = "a photo of {}"
NOTES = (
    "The similarity of a video is the cosine of the sentence with the frame that fits best, from -1 to 1; compare it "
    "within one search only. Beside it stands the mean over the frames.",
    "With --labels, a video gets the label whose mean cosine over the frames is largest. Labels without a sentence and "
    "without --like: every video of the table gets one, and --output has all of them.",
    "The table must be scored with frames among the --signals, and the server must have the text encoder of the same "
    "checkpoint.",
)
STATUSES = {0: "done", 1: "the table or the server cannot be used"}
EXAMPLES = (
    'scores.parquet "a dog runs on a beach" --top 20 --html found.html',
    'scores.parquet --labels "food,travel,history" --output topics.parquet',
)


def main(arguments: list[str] | None = None, program: str = "video-motion search") -> int:
    """Parse the command line, search, print and write; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    labels = _labels(parser, options)
    _check(parser, options, labels)
    if options.html and (sentence := missing("--html", "av", extra="report")):
        print(sentence, file=sys.stderr)
        return 1
    try:
        with table_here(options.scores) as scores:
            metadata = read_metadata(scores)
            check_frames(scores)
            with client_from(parser, options) as client:
                return _search(client, scores, options, metadata, labels)
    except (TableError, SearchError, ClientError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # the reader of standard output closed it, as `head` does
    except OSError as error:
        print(f"{parser.prog}: cannot write: {reason_of(error)}", file=sys.stderr)
        return 1


def _search(client: Client, scores: Path, options: argparse.Namespace, metadata: Metadata, labels: list[str]) -> int:
    weights = client.weights()
    if options.sentence is not None or labels:
        check_encoder(scores, metadata, weights, text=True)
    if options.like:
        check_encoder(scores, metadata, weights, text=False)
    used = [weights.frames if options.like else None, weights.text if options.sentence is not None or labels else None]
    if any(name is not None and name.startswith("random") for name in used):
        print("NOTE: the server has random weights: what is found means nothing", file=sys.stderr)
    queries = None
    if labels:
        template = options.template or TEMPLATE
        queries, _ = of_texts(client, {f"the label {label!r}": template.format(label) for label in labels})
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    if options.sentence is None and not options.like:
        assert queries is not None
        counts = write_topics(scores, metadata, labels, queries, options.output)
        lines = [f"{label:30} {count:>12,}" for label, count in counts.items()]
        print("\n".join(lines) if as_table else json.dumps({"scores": str(options.scores), "topics": counts}))
        return 0
    if options.like:
        frames = metadata.parameters.get("frames")
        query = of_video(client, options.like, None if frames is None else int(frames))
    else:
        query, (embedded,) = of_texts(client, {"the sentence": options.sentence})
        if embedded.tokens_cut:
            were = "was" if embedded.tokens_cut == 1 else "were"
            takes = f"the encoder takes {counted(embedded.tokens, 'token')}"
            print(f"NOTE: {takes}; {embedded.tokens_cut} {were} cut", file=sys.stderr)
    batches = frame_rows(scores, metadata, query.shape[1])
    hits = best_hits(batches, query, options.top, by=options.by, labels=labels, label_queries=queries)
    rows = rows_at(scores, metadata, [hit.row for hit in hits], signals=False)
    shown = rows.select(["video", *PART_COLUMNS, "duration_seconds"]).to_pylist()
    for rank, (hit, row) in enumerate(zip(hits, shown, strict=True), 1):
        print(_line(rank, hit, row) if as_table else json.dumps(_object(rank, hit, row)))
    if not hits:
        print(f"NOTE: no video of {options.scores} has embeddings", file=sys.stderr)
    if options.output:
        write_hits(scores, metadata, hits, options.output, topics=bool(labels))
    if options.html:
        from .._search.page import write_page  # needs PyAV

        title = options.sentence if options.sentence is not None else f"Like {name_of(options.like)}"
        without = write_page(options.html, scores, title, hits, shown)
        if without:
            have = "has" if without == 1 else "have"
            print(f"{options.html}: {without} of {counted(len(hits), 'video')} {have} no preview", file=sys.stderr)
    return 0


def _object(rank: int, hit: Hit, row: dict[str, Any]) -> dict[str, Any]:
    part = {name: row[name] for name in PART_COLUMNS if row[name] is not None}
    numbers = {name: round(value, 6) if isinstance(value, float) else value for name, value in hit.as_dict().items()}
    return {"rank": rank, "video": row["video"], **part, **numbers}


def _line(rank: int, hit: Hit, row: dict[str, Any]) -> str:
    second = "" if hit.best_seconds is None else f"  at {hit.best_seconds:7.2f} s"
    topic = "" if hit.topic is None else f"  {hit.topic}"
    return f"{rank:>4}  {hit.similarity:6.3f}  mean {hit.similarity_mean:6.3f}{second}  {row['video']}{topic}"


def _labels(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    if options.labels is None:
        return []
    labels = [label.strip() for label in options.labels.split(",")]
    if not all(labels):
        parser.error("--labels has an empty label")
    if len(set(labels)) < len(labels):
        parser.error("--labels has a label twice")
    return labels


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace, labels: list[str]) -> None:
    if options.sentence is not None and options.like:
        parser.error("give a sentence or --like, not both")
    if options.sentence is None and not options.like and not labels:
        parser.error("give a sentence, --like VIDEO or --labels")
    if options.sentence is None and not options.like and (not options.output or options.html):
        parser.error("--labels alone gives every video a label: name the --output, and no --html")
    if not 1 <= options.top <= MAX_TOP:
        parser.error(f"--top is {options.top}, it must be from 1 to {MAX_TOP}")
    if options.output and options.output.suffix.lower() != ".parquet":
        parser.error(f"--output {options.output} must end in .parquet")
    try:
        templated = (options.template or TEMPLATE).format("label")
    except (ValueError, LookupError):
        templated = ""
    if "label" not in templated:
        parser.error("--template must have {} where the label goes, and no other braces")
    if options.template is not None and not labels:
        parser.error("--template is for --labels")
    if options.sentence is not None and not options.sentence.strip():
        parser.error("the sentence is empty")
    outputs = {"--output": options.output, "--html": options.html}
    if trouble := trouble_with_outputs(outputs, {"the table": options.scores, "--like": options.like}):
        parser.error(trouble)
    if options.html:
        check_output(parser, "--html", options.html, "page", is_page)
    if options.output and options.output.exists():
        parser.error(f"--output {options.output} exists: choose another name, or delete it")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Find the videos of a table that show what a sentence says, or that look like a video.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "scores",
        metavar="SCORES",
        type=path_or_url,
        help=f"table with embeddings of frames: `{sibling(program, 'score')} --signals frames`; a path or a URL",
    )
    parser.add_argument("sentence", metavar="SENTENCE", nargs="?", help="what the videos should show")
    parser.add_argument("--like", type=path_or_url, metavar="VIDEO", help="find videos that look like this one")
    parser.add_argument(
        "--top", type=int, default=50, metavar="N", help="how many videos, best first (default: %(default)s)"
    )
    parser.add_argument(
        "--by",
        choices=("best", "mean"),
        default="best",
        help="order by the frame that fits best, or by the mean over the frames (default: %(default)s)",
    )
    parser.add_argument("--labels", metavar="NAMES", help="topics with commas between them; each video gets one")
    parser.add_argument(
        "--template",
        metavar="TEXT",
        help=f"what is embedded for a label (default: {TEMPLATE!r})",
    )
    parser.add_argument("--output", type=local_path, metavar="FILE", help="table of the videos found: .parquet")
    parser.add_argument("--html", type=local_path, metavar="FILE", help="page with a preview of each video found")
    parser.add_argument("--format", choices=("table", "json"), help="default: table on a terminal, else JSON lines")
    add_server_arguments(parser)
    return parser
