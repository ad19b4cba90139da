"""The command `evaluate`: how well frames and captions fit."""

import argparse
import json
import sys
from collections.abc import Iterable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from .._counted import counted
from .._evaluate.errors import EvaluationError
from .._evaluate.fit import SetFit, fit_set
from .._evaluate.rows import CaptionedRow, caption_columns, captioned_rows, column_names, row_keys
from .._evaluate.sample import sampled
from .._evaluate.statistics import as_json, compare_pairs, compare_sets, figures
from .._evaluate.texts import Key, Texts, near, read_texts
from .._optional import missing
from .._sdk.client import Client
from .._search.errors import SearchError
from .._search.frames import check_frames
from .._search.query import check_encoder
from .._tables.table import TableError, read_metadata
from ..errors import ClientError
from .output_files import check_output, is_picture, trouble_with_outputs
from .parser import command_parser
from .path_arguments import local_path
from .server_arguments import add_server_arguments, client_from

EQUAL = True
"""The value of `--sample` without a number: as many as the first set has."""
PICTURES = (".png", ".svg", ".pdf")
NOTES = (
    "For each row, the fit of a caption is the mean over every second frame of max(0, 100 cos(frame, caption)). Per "
    "set: mean with the 95 % interval of 2000 bootstrap samples, and median. Two tables are compared as sets of "
    "different videos (Mann-Whitney U, Cliff's delta), two captions on the same rows in pairs (Wilcoxon signed-rank, "
    "rank-biserial correlation); p values are two-sided.",
    "A row counts if it has embeddings of frames (score with frames among the --signals) and every caption that its "
    "table has. The others are counted. So are texts that the encoder cuts.",
)
STATUSES = {0: "done", 1: "a table or the server cannot be used"}
EXAMPLES = (
    "chosen.parquet scores.parquet --sample --seed 1",
    "kept.parquet --texts captions.parquet --captions caption,recaption --picture fit.png",
)


def main(arguments: list[str] | None = None, program: str = "video-motion evaluate") -> int:
    """Parse the command line, evaluate, print; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    captions = _captions(parser, options)
    if options.picture and (sentence := missing("--picture", "matplotlib", extra="evaluate")):
        print(sentence, file=sys.stderr)
        return 1
    try:
        texts = [read_texts(path, captions) for path in options.texts]
        metadata = [read_metadata(path) for path in options.tables]
        for path in options.tables:
            check_frames(path)
        with client_from(parser, options) as client:
            weights = client.weights()
            for path, each in zip(options.tables, metadata, strict=True):
                check_encoder(path, each, weights, text=True)
            result = _evaluate(client, options, captions, texts)
        result["weights"] = weights.text
    except (TableError, SearchError, EvaluationError, ClientError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parser.prog}: cannot write {options.picture}: {error.strerror or error}", file=sys.stderr)
        return 1
    if weights.text is not None and weights.text.startswith("random"):
        print("NOTE: the server has random weights: these figures mean nothing", file=sys.stderr)
    if (count := result["shared_rows"]) and options.sample is None:
        rows = f"{counted(count, 'row')} {'is' if count == 1 else 'are'}"
        print(
            f"NOTE: {rows} in both tables, so the sets are not independent: --sample leaves them out", file=sys.stderr
        )
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    print(table(result) if as_table else json.dumps(result))
    return 0


def _evaluate(client: Client, options: argparse.Namespace, captions: list[str], texts: list[Texts]) -> dict[str, Any]:
    merged = _merged(texts)
    _check_captions(options.tables, captions, texts)
    shared: set[Key] = set()
    if len(options.tables) > 1:
        first = set(row_keys(options.tables[0]))
        shared = {key for key in row_keys(options.tables[1]) if key in first}
    fits: list[SetFit] = []
    for number, path in enumerate(options.tables):
        columns = caption_columns(path, captions, merged)
        read = partial(captioned_rows, path, columns, merged)
        rows: Iterable[CaptionedRow] = read()
        if number == 1 and options.sample is not None:
            count = len(next(iter(fits[0].scores.values()))) if options.sample is EQUAL else options.sample
            rows = sampled(read, columns, count, options.seed, str(path), shared)
        found = fit_set(rows, columns, client.embed_text, in_flight=options.in_flight)
        if not len(next(iter(found.scores.values()))):
            raise EvaluationError(
                f"no row of {path} counts: of {found.rows:,}, {found.without_embeddings:,} without embeddings, "
                f"{found.without_captions:,} more without a caption ({', '.join(columns)})"
            )
        fits.append(found)
    names = [str(path) for path in options.tables]
    described = {
        (name, caption): (values, figures(values, options.seed))
        for name, found in zip(names, fits, strict=True)
        for caption, values in found.scores.items()
    }
    if options.picture:
        from .._evaluate.picture import draw  # matplotlib takes a second to import

        short = {name: Path(name).name for name in names}
        if len(set(short.values())) < len(names):  # of two folders
            short = dict(zip(names, names, strict=True))
        draw(options.picture, {f"{short[name]}\n{caption}": each for (name, caption), each in described.items()})
    return {
        "sets": [_set(name, found, described) for name, found in zip(names, fits, strict=True)],
        "comparisons": [*_of_sets(names, fits, options.seed), *_of_captions(names, fits, options.seed)],
        "shared_rows": len(shared),
        "seed": options.seed,
    }


def _set(name: str, found: SetFit, described: dict[tuple[str, str], Any]) -> dict[str, Any]:
    counts = {field: getattr(found, field) for field in ("rows", "without_embeddings", "without_captions")}
    by_caption = {
        caption: as_json(described[name, caption][1]) | {"texts_cut": found.texts_cut[caption]}
        for caption in found.scores
    }
    return {"table": name, **counts, "captions": by_caption}


def _of_sets(names: list[str], fits: list[SetFit], seed: int) -> list[dict[str, Any]]:
    if len(fits) < 2:
        return []
    first, second = fits
    return [
        {"caption": caption, "first": names[0], "second": names[1]}
        | as_json(compare_sets(values, second.scores[caption], seed))
        for caption, values in first.scores.items()
        if caption in second.scores
    ]


def _of_captions(names: list[str], fits: list[SetFit], seed: int) -> list[dict[str, Any]]:
    """The later caption is first: it is the new one."""
    return [
        {"table": name, "first": new, "second": old}
        | as_json(compare_pairs(found.scores[new], found.scores[old], seed))
        for name, found in zip(names, fits, strict=True)
        for old, new in combinations(found.scores, 2)
    ]


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text for a person."""
    lines = []
    for each in result["sets"]:
        lines.append(
            f"{each['table']}   {counted(each['rows'], 'row')}, {each['without_embeddings']:,} without embeddings, "
            f"{each['without_captions']:,} more without a caption"
        )
        for caption, found in each["captions"].items():
            cut = f"   {counted(found['texts_cut'], 'text')} cut" if found["texts_cut"] else ""
            lines.append(
                f"  {caption:20} n {found['count']:>8,}   mean {found['mean']:7.3f} {_interval(found, 'mean')}   "
                f"median {found['median']:7.3f}{cut}"
            )
    for each in result["comparisons"]:
        where = f"{each['caption']}, " if "caption" in each else f"{each['table']}, "
        tested = "" if each["p_value"] is None else f"   p {each['p_value']:.2g}   effect {each['effect_size']:+.3f}"
        lines += [
            "",
            f"{where}{each['first']} minus {each['second']}",
            f"  {each['difference']:+.3f} {_interval(each, 'difference')}{tested}   ({each['test']}, {each['effect']})",
        ]
    return "\n".join(lines)


def _interval(found: dict[str, Any], of: str) -> str:
    interval = found[f"{of}_confidence_95"]
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def _check_captions(tables: list[Path], captions: list[str], texts: list[Texts]) -> None:
    """Each caption must be a column of some table or list: a misspelt one would go unnoticed beside others."""
    names = set().union(*(each.columns for each in texts), *map(column_names, tables))
    for name in captions:
        if name not in names and len(captions) > 1:
            raise EvaluationError(f"no table and no list has the column {name}{near(name, names)}")


def _merged(texts: list[Texts]) -> Texts | None:
    if not texts:
        return None
    if len({each.has_parts for each in texts}) > 1:
        raise EvaluationError("of the lists of captions, some have parts of videos and some do not")
    content: dict[Any, dict[str, str]] = {}
    for each in texts:
        for key, found in each.texts.items():
            content[key] = content.get(key, {}) | found
    columns = tuple(dict.fromkeys(name for each in texts for name in each.columns))
    return Texts(columns, texts[0].has_parts, content)


def _captions(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    captions = [name.strip() for name in options.captions.split(",")]
    if not all(captions) or len(set(captions)) < len(captions):
        parser.error("--captions must be names of columns, each once, with commas between them")
    if len(options.tables) > 2:
        parser.error(f"{len(options.tables)} tables were given; give one, or two to compare")
    if len({path.resolve() for path in options.tables}) < len(options.tables):
        parser.error("the two tables are the same file")
    if options.sample is not None and len(options.tables) < 2:
        parser.error("--sample draws from the second table: give two")
    if options.sample is not None and options.sample is not EQUAL and options.sample < 1:
        parser.error(f"--sample is {options.sample}, it must be above 0")
    if options.picture and options.picture.suffix.lower() not in PICTURES:
        parser.error(f"--picture {options.picture} must end in {', '.join(PICTURES)}")
    inputs = {f"the table {path}": path for path in options.tables} | {
        f"--texts {path}": path for path in options.texts
    }
    if trouble := trouble_with_outputs({"--picture": options.picture}, inputs):
        parser.error(trouble)
    if options.picture:
        check_output(parser, "--picture", options.picture, f"{options.picture.suffix} picture", is_picture)
    return captions


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "How well the frames and the captions of videos fit: of one set, of two sets, or of two captions of one set.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "tables", nargs="+", type=local_path, metavar="SCORES", help="one or two tables with embeddings of frames"
    )
    parser.add_argument(
        "--captions",
        default="caption",
        metavar="COLUMNS",
        help="columns of captions, with commas between them, older ones first (default: %(default)s)",
    )
    parser.add_argument(
        "--texts",
        action="append",
        default=[],
        type=local_path,
        metavar="FILE",
        help="list with the column video and those of captions, for tables without them: .csv, .jsonl, .parquet; may "
        "be repeated",
    )
    parser.add_argument(
        "--sample",
        type=int,
        nargs="?",
        const=EQUAL,
        metavar="N",
        help="of the second table, draw N rows at random that are not in the first one (without N: as many as count of "
        "the first)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the sample and the bootstrap (default: %(default)s)"
    )
    parser.add_argument(
        "--picture", type=local_path, metavar="FILE", help="picture of the distributions: .png, .svg, .pdf"
    )
    parser.add_argument("--format", choices=("table", "json"), help="default: table on a terminal, else JSON")
    add_server_arguments(parser)
    return parser
