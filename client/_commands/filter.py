"""The command `filter`: split a table of scores into videos to keep and videos to drop."""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._counted import counted
from .._learn.errors import LearnError
from .._learn.selection import REASONS, Selection
from .._optional import missing
from .._remote.addresses import is_remote, lacks
from .._remote.writing import UploadError, can_write, uploading
from .._runs.phrases import phrases_of_row
from .._tables.columns import check_motion, from_stand_ins, is_failed, is_skipped
from .._tables.here import table_here
from .._tables.presets import COLUMNS, Preset
from .._tables.quantities import columns_of, values_of
from .._tables.row import NO_SCORES, PHRASE_COLUMNS
from .._tables.signal_columns import PHRASES
from .._tables.table import Metadata, TableError, read_batches, read_metadata, table_schema
from .._tables.verdicts import check_presets, split_by_table
from .kept_shards import KeptError, KeptShards
from .output_files import check_output, is_list
from .parser import command_parser
from .path_arguments import identity, local_path, path_or_url, suffix_of
from .preset_arguments import (
    add_limit_arguments,
    add_preset_arguments,
    dropped_presets,
    limits_from,
    presets_from,
    probability,
)
from .program import sibling
from .video_list import VERDICTS_COLUMN, UnwritableList, VideoList

FAILURES_NAMED = 10
RULES = {
    "learned": "the learned filter does not want them",
    "one_per": "another row of the same {one_per} is better",
    "top": "not among the best",
    "first_pass": "a first pass skipped them: they have no scores",
}
NOTES = (
    "The suffix of a list chooses its format. .txt: one video per line; after a tab, the presets that dropped it or "
    "the error. .jsonl and .parquet: the rows of the table, which every command reads again; dropped rows "
    "get dropped_by.",
    "--static camera=0.4 alone means --drop static with that cut-off. A video without scores is neither kept nor "
    "dropped, but for one that a first pass skipped: it is dropped by first_pass. Without --failed, the first "
    f"{FAILURES_NAMED} failed videos are named on standard error.",
)
STATUSES = {0: "done", 1: "a file cannot be read or written"}
EXAMPLES = (
    "scores.parquet --drop static --drop slideshow --kept kept.txt",
    "scores.parquet --learned filter.json --top 10000 --one-per video --kept kept.parquet",
)


@dataclass
class Counts:
    """Number of videos on each list."""

    presets: dict[str, Preset]
    """The presets to drop, by name."""
    rules: tuple[str, ...] = ()
    """What else drops videos: those of `REASONS` that were asked for."""
    one_per: str = "source"
    """Of what one row is kept, for the rule of this name."""
    videos: int = 0
    """Rows of the table."""
    kept: int = 0
    """Scored videos that nothing drops."""
    dropped: int = 0
    """Videos that one preset or more match."""
    failed: int = 0
    """Videos without scores."""
    dropped_by: dict[str, int] | None = None
    """Videos that each preset or rule drops; a video that several drop counts for each."""

    def __post_init__(self) -> None:
        self.dropped_by = dict.fromkeys((*self.presets, *self.rules), 0)

    def count_first_pass(self) -> None:
        """Count what a first pass skipped, in a table that has such videos."""
        assert self.dropped_by is not None
        self.dropped_by.setdefault("first_pass", 0)

    def as_dict(self) -> dict[str, object]:
        """The counts as a JSON object."""
        return {
            "videos": self.videos,
            "kept": self.kept,
            "dropped": self.dropped,
            "failed": self.failed,
            "dropped_by": self.dropped_by,
            "presets": {
                name: {limit.score: limit.cutoff for limit in preset.limits} for name, preset in self.presets.items()
            },
        }


def main(arguments: list[str] | None = None, program: str = "video-motion filter") -> int:
    """Parse the command line, filter, print the counts; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    dropping = {name: preset for name, preset in presets_from(options).items() if name in dropped_presets(options)}
    dropping |= limits_from(options)
    if not options.learned and (options.top or options.one_per or options.at is not None):
        parser.error("--at, --top and --one-per are for --learned FILE")
    if not dropping and not options.learned and not options.verdicts:
        parser.error("nothing to drop: give --drop PRESET, --below, --above or --learned FILE")
    if options.learned and (sentence := missing("--learned", "xgboost", extra="learn")):
        print(sentence, file=sys.stderr)
        return 1
    paths = {what: getattr(options, what) for what in ("kept", "dropped", "failed") if getattr(options, what)}
    for what, path in paths.items():
        if suffix_of(path) not in VideoList.SUFFIXES:
            parser.error(f"--{what} {path} must end in {', '.join(VideoList.SUFFIXES)}")
        if isinstance(path, str) and not can_write(path):
            parser.error(f"--{what} {path}: web servers take no files: write to a bucket, or to this machine")
    for option in ("phrases", "verdicts"):
        if getattr(options, option) and not any(suffix_of(path) in (".jsonl", ".parquet") for path in paths.values()):
            parser.error(f"--{option} adds columns to lists: write one that is .jsonl or .parquet")
    inputs = [path for path in (options.scores, options.learned) if path]
    resolved = [identity(path) for path in (*inputs, *paths.values())]
    if len(set(resolved)) < len(resolved):
        parser.error("the table and the lists must be different files")
    for what, path in paths.items():
        if isinstance(path, Path):
            check_output(parser, f"--{what}", path, "list of videos", is_list)
    for place in filter(is_remote, map(str, paths.values())):
        if sentence := lacks(place):
            print(sentence, file=sys.stderr)
            return 1
    try:
        with table_here(options.scores) as scores, uploading(paths) as files:
            metadata = read_metadata(scores)
            check_motion(scores, metadata)
            check_presets(scores, metadata, dropping.values())
            selection = _selection(scores, options, metadata, dropping) if options.learned else None
            verdicts = _verdicts(scores, options, metadata) if options.verdicts else {}
            shards = KeptShards(options.kept_shards) if options.kept_shards else None
            counts, failures = filter_table(
                scores,
                metadata,
                dropping,
                files,
                selection,
                phrases=options.phrases,
                verdicts=verdicts,
                shards=shards,
            )
    except (TableError, LearnError, UnwritableList, KeptError, UploadError) as error:
        print(error, file=sys.stderr)
        return 1
    for note in shards.notes if shards else ():
        print(f"NOTE: {note}", file=sys.stderr)
    if from_stand_ins(metadata):
        print("NOTE: these scores come from random weights: they mean nothing", file=sys.stderr)
    if "failed" not in paths:
        for video, reason in failures:
            print(f"{video}: {reason}", file=sys.stderr)
        if counts.failed > len(failures):
            print(f"... and {counts.failed - len(failures)} more (--failed FILE lists them all)", file=sys.stderr)
    if (options.format or ("table" if sys.stdout.isatty() else "json")) == "json":
        written = {"kept_shards": shards.written} if shards else {}
        print(json.dumps({"scores": str(options.scores), **counts.as_dict(), **written}))
    else:
        counts.one_per = options.one_per or counts.one_per
        print(table(counts))
        if shards:
            print(f"wrote {counted(shards.written, 'shard')} into {options.kept_shards}")
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Split a table of scores into videos to keep and videos to drop.",
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
    add_preset_arguments(parser)
    add_limit_arguments(parser)
    group = parser.add_argument_group("learned filter")
    group.add_argument(
        "--learned",
        type=local_path,
        metavar="FILE",
        help=f"drop what a filter that `{sibling(program, 'learn')}` wrote does not want",
    )
    group.add_argument(
        "--at", type=probability, metavar="P", help="keep from this probability on (default: 0.5; 0 keeps all)"
    )
    group.add_argument("--top", type=_count, metavar="N", help="keep the N most probable at most")
    group.add_argument(
        "--one-per",
        metavar="COLUMN",
        help="keep the most probable row of each value of this column; source means video: one part of each file",
    )
    for what in ("kept", "dropped", "failed"):
        parser.add_argument(
            f"--{what}",
            type=path_or_url,
            metavar="FILE",
            help=f"write the {what} videos: .txt, .jsonl or .parquet; a path or a URL",
        )
    parser.add_argument(
        "--kept-shards",
        type=local_path,
        metavar="DIR",
        help="write the kept videos of tar shards, and what stands beside them, into shards of the same names",
    )
    parser.add_argument(
        "--phrases", action="store_true", help="say in words how each video of a .jsonl or .parquet list moves"
    )
    parser.add_argument(
        "--verdicts",
        action="store_true",
        help="add a column to .jsonl and .parquet lists: all presets that match each video, whether dropped or not",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="format of the counts (default: table on a terminal, else JSON)"
    )
    return parser


def _selection(scores: Path, options: argparse.Namespace, metadata: Metadata, presets: dict[str, Preset]) -> Selection:
    """Read the table a first time: what the learned filter says of its rows."""
    from .._learn.apply import selection  # xgboost takes a second to import

    return selection(
        scores,
        metadata,
        options.learned,
        presets,
        at=0.5 if options.at is None else options.at,
        top=options.top,
        one_per="video" if options.one_per == "source" else options.one_per,
    )


def _verdicts(scores: Path, options: argparse.Namespace, metadata: Metadata) -> dict[str, Preset]:
    """All presets that the table can tell; those that it cannot are named on standard error."""
    told, not_told = split_by_table(scores, metadata, presets_from(options).values())
    for reason in dict.fromkeys(not_told.values()):
        names = ", ".join(name for name, why in not_told.items() if why == reason)
        print(f"NOTE: {options.scores} does not tell {names}, because {reason}", file=sys.stderr)
    return told


def filter_table(
    path: Path,
    metadata: Metadata,
    presets: dict[str, Preset],
    paths: dict[str, Path],
    selection: Selection | None = None,
    *,
    phrases: bool = False,
    verdicts: Mapping[str, Preset] | None = None,
    shards: KeptShards | None = None,
) -> tuple[Counts, list[tuple[str, str]]]:
    """Count, and write the lists in `paths` (`kept`, `dropped`, `failed`); an error while writing leaves none.

    verdicts: presets whose names go into a column of the lists, for each row those that match it.
    shards: takes the kept videos, and writes shards before the lists appear.
    Returns the counts and the first failed videos with their errors. Raises TableError, UnwritableList, KeptError.
    """
    used = [*presets.values(), *(verdicts or {}).values()]
    rules = selection.dropped if selection else {}
    counts = Counts(presets, tuple(name for name in REASONS if name in rules))
    failures: list[tuple[str, str]] = []
    with ExitStack() as stack:
        whole_rows = any(to.suffix != ".txt" for to in paths.values())
        schema = table_schema(path, metadata, signals=whole_rows)
        if phrases:
            schema = _with_phrases(schema)
        if verdicts:
            schema = schema.append(pa.field(VERDICTS_COLUMN, pa.list_(pa.string())))
        lists = {what: stack.enter_context(VideoList(to, what, metadata, schema)) for what, to in paths.items()}
        columns = None if whole_rows else columns_of(used)
        for batch in read_batches(path, metadata, signals=whole_rows or columns is not None, columns=columns):
            values = values_of(batch, metadata, used)
            unscored, skipped = is_failed(batch, values), is_skipped(batch)
            failed = unscored & ~skipped
            taken = {name: preset.takes(values) & ~unscored for name, preset in presets.items()}
            rows = slice(counts.videos, counts.videos + len(failed))
            taken |= {name: rules[name][rows] & ~unscored for name in counts.rules}
            if skipped.any():
                taken["first_pass"] = skipped
                counts.count_first_pass()
            dropped = np.logical_or.reduce([np.zeros_like(failed), *taken.values()])
            counts.videos += len(failed)
            counts.failed += int(failed.sum())
            counts.dropped += int(dropped.sum())
            counts.kept += int((~failed & ~dropped).sum())
            for name, mask in taken.items():
                assert counts.dropped_by is not None
                counts.dropped_by[name] += int(mask.sum())
            if phrases:
                batch = _in_words(batch, unscored, schema)
            if verdicts:
                matching = {name: preset.takes(values) & ~unscored for name, preset in verdicts.items()}
                names = _names(matching, np.ones(len(failed), np.bool_))
                column = pa.array(names, pa.list_(pa.string()), mask=unscored)
                batch = pa.RecordBatch.from_arrays([*batch.columns, column], schema=schema)
            masks = {"kept": ~failed & ~dropped, "dropped": dropped, "failed": failed}
            for what, video_list in lists.items():
                video_list.add(batch.filter(pa.array(masks[what])), _names(taken, masks[what]))
            if shards is not None:
                shards.add(batch.column("video").filter(pa.array(masks["kept"])).to_pylist())
            room = FAILURES_NAMED - len(failures)
            if room and failed.any():
                rows = batch.select(["video", "error"]).filter(pa.array(failed)).slice(0, room).to_pylist()
                failures += [(row["video"], row["error"] or NO_SCORES) for row in rows]
        if shards is not None:
            shards.write()
        for video_list in lists.values():
            video_list.finish()
    return counts, failures


def _with_phrases(schema: pa.Schema) -> pa.Schema:
    """The columns with those of phrases at the end, also if they were there."""
    return pa.schema([*(field for field in schema if field.name not in PHRASE_COLUMNS), *PHRASES], schema.metadata)


def _in_words(batch: pa.RecordBatch, failed: NDArray[np.bool_], schema: pa.Schema) -> pa.RecordBatch:
    """The rows with the columns of phrases, null for videos without scores."""
    rows = batch.select([*COLUMNS.values(), "clips"]).to_pylist()
    words = [None if is_null else phrases_of_row(row) for row, is_null in zip(rows, failed.tolist(), strict=True)]
    added = {name: pa.array([each and each[name] for each in words], pa.string()) for name in PHRASE_COLUMNS}
    fields = [field for field in schema if field.name != VERDICTS_COLUMN]
    columns = [added[field.name] if field.name in added else batch.column(field.name) for field in fields]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, schema.metadata))


def table(counts: Counts) -> str:
    """The counts as lines of text for a person."""
    scored = max(counts.videos - counts.failed, 1)
    whole = "those that did not fail" if "first_pass" in (counts.dropped_by or ()) else "the scored"
    rows = [("videos", counts.videos, ""), ("failed", counts.failed, "without scores, neither kept nor dropped")]
    rows += [("kept", counts.kept, f"{counts.kept / scored:.1%} of {whole}")]
    rows += [("dropped", counts.dropped, f"{counts.dropped / scored:.1%}")]
    for name, count in (counts.dropped_by or {}).items():
        why = counts.presets[name] if name in counts.presets else RULES[name].format(one_per=counts.one_per)
        rows.append((f"  {name}", count, f"{count / scored:.1%}   {why}"))
    width = max(len(f"{count:,}") for _, count, _ in rows)
    names = max(12, *(len(name) for name, _, _ in rows))
    return "\n".join(f"{name:{names}} {count:>{width},}  {note}".rstrip() for name, count, note in rows)


def _count(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _names(taken: dict[str, NDArray[np.bool_]], mask: NDArray[np.bool_]) -> list[list[str]]:
    """For each row in `mask`, the presets that match it."""
    columns = [(name, rows[mask].tolist()) for name, rows in taken.items()]
    return [[name for name, rows in columns if rows[index]] for index in range(int(mask.sum()))]
