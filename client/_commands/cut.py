"""The command `cut`: write each part of a list as a file, or as a sample of a WebDataset shard."""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from .._cut.errors import CutError
from .._cut.names import DEFAULT
from .._cut.part import Part
from .._cut.run import Counts, Run
from .._cut.settings import CODECS, SUFFIXES, Settings, Size
from .._inputs.choices import COLUMNS, PART, Choices
from .._inputs.errors import InputError
from .._inputs.manifest import Manifest
from .._inputs.skipped import Skipped
from .._runs.interruption import interruptible
from .._runs.progress import ProgressBar
from .._tables.found import not_found, place_of
from .._tables.here import table_here
from .._tables.row import SKIPPED_BY
from .._tables.table import FORMATS, Metadata, TableError, read_batches, read_metadata, table_schema
from .parser import command_parser
from .path_arguments import local_path, path_or_url, suffix_of
from .program import sibling
from .video_list import as_row

SHARD_SIZE = 1000
_ROWS_AT_ONCE = 128
_PLAIN = (str, int, float, bool)
NOTES = (
    "A clip has the frames with start <= timestamp < end, and the sound of that time. --copy does not encode: the clip "
    "starts at the keyframe before, and may end a few frames late, because frames before the end refer to them; "
    "clips.jsonl says how much earlier and later that is. Rows without scores are left out.",
    f"The same command goes on where it was stopped. A clip appears when it is whole. --name is a template such as "
    f"'{DEFAULT}'; fields are columns of the list, index, stem and suffix; its end chooses the container: "
    f"{', '.join(SUFFIXES)}.",
)
STATUSES = {0: "done", 1: "parts cannot be cut, or a file cannot be read or written"}
EXAMPLES = (
    "kept.parquet --output clips/",
    "kept.parquet --shards shards/ --size 480 --codec hevc --crf 22",
)


def main(arguments: list[str] | None = None, program: str = "video-motion cut") -> int:
    """Parse the command line, cut, print the counts; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    settings = _settings(parser, options)
    try:
        with ExitStack() as copies:
            parts = _Parts(options.parts, copies, whole_rows=options.shards is not None)
            run = Run(options.shards or options.output, settings, parts, options.jobs)
            progress = ProgressBar(" clips")
            try:
                with interruptible(run.stop, "finishing the clips that are being cut") as interruption:
                    counts = run(progress)
            finally:
                progress.close()
    except (CutError, TableError, InputError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot write into {options.shards or options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    summary = _summary(options.shards or options.output, counts, parts.without_scores)
    if (options.format or ("table" if sys.stdout.isatty() else "json")) == "json":
        print(json.dumps(summary))
    else:
        print(_table(summary))
    return interruption.status or (1 if counts.failed else 0)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program, "Write each part of a list as a file.", notes=NOTES, statuses=STATUSES, examples=EXAMPLES
    )
    parser.add_argument(
        "parts",
        metavar="LIST",
        type=path_or_url,
        help=f"table of scores, such as `{sibling(program, 'filter')} --kept` writes, or any list of videos that "
        f"`{sibling(program, 'score')}` reads; a path or a URL",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--output", type=local_path, metavar="DIR", help="write files, and clips.jsonl, which lists them"
    )
    where.add_argument(
        "--shards",
        type=local_path,
        metavar="DIR",
        help="write WebDataset tars: clips, and their rows of the list as JSON",
    )
    parser.add_argument(
        "--shard-size", type=_count, metavar="N", help=f"parts in a tar, for --shards (default: {SHARD_SIZE})"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--copy", action="store_true", help="copy from the keyframe before the part: fast, and not exact")
    how.add_argument("--codec", choices=CODECS, help="encode with it (default: h264)")
    defaults = ", ".join(f"{codec.crf} for {name}" for name, codec in CODECS.items())
    how.add_argument("--crf", type=int, metavar="N", help=f"quality, 0 is best (default: {defaults})")
    how.add_argument(
        "--size",
        metavar="N|WxH",
        help="pixels of the shorter side, or a box to fit into; never enlarges (default: as is)",
    )
    how.add_argument("--no-sound", action="store_true", help="leave the sound out")
    parser.add_argument("--name", default=DEFAULT, metavar="TEMPLATE", help="names of the clips (default: %(default)s)")
    parser.add_argument(
        "--jobs",
        type=_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="parts at once (default: one for each core)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="format of the counts (default: table on a terminal, else JSON)"
    )
    return parser


def _settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Settings:
    if options.copy and (given := [n for n in ("codec", "crf", "size") if getattr(options, n) is not None]):
        parser.error(f"--{given[0]} is for encoding, and --copy does not encode")
    if options.shard_size and not options.shards:
        parser.error("--shard-size is for --shards DIR")
    name = options.codec or "h264"
    codec = CODECS[name]
    crf = codec.crf if options.crf is None else options.crf
    if not 0 <= crf <= codec.largest_crf:
        parser.error(f"--crf is {crf}, it must be between 0 and {codec.largest_crf} for {name}")
    if options.size is not None:
        try:
            Size.parse(options.size)
        except ValueError:
            parser.error(f"--size is {options.size!r}, it must be a number of pixels, or two such as 854x480")
    shard_size = (options.shard_size or SHARD_SIZE) if options.shards else None
    return Settings(options.copy, name, crf, options.size, not options.no_sound, options.name, shard_size)


class _Parts:
    """Reads the parts of a list, as often as it is called."""

    def __init__(self, named: Path | str, copies: ExitStack, *, whole_rows: bool) -> None:
        """copies: removes the copy of a table by URL; whole_rows: whether embeddings are wanted, too.

        Raises `TableError` and `InputError`.
        """
        self.without_scores = 0
        """Rows that were left out when the list was read last."""
        self._whole_rows = whole_rows
        self._path = Path(named)
        self._places: dict[str, Path | str | None] = {}
        self._metadata: Metadata | None = None
        self._manifest: Manifest | None = None
        if suffix_of(named).lower() in FORMATS:
            self._path = copies.enter_context(table_here(named))
            try:
                self._metadata = read_metadata(self._path)
                next(iter(read_batches(self._path, self._metadata, signals=False)), None)  # CSV and JSON say only then
            except TableError:
                self._metadata = None
        if self._metadata is None:
            self._manifest = Manifest(str(named), Choices(whole_rows=True))

    def __call__(self, *, whole: bool) -> Iterator[Part]:
        """The parts; whole: whether their `row` is wanted, if it is at all."""
        self.without_scores = 0
        if self._metadata is None:
            return self._of_manifest()
        return self._of_table(self._metadata, whole=whole and self._whole_rows)

    def _of_table(self, metadata: Metadata, *, whole: bool) -> Iterator[Part]:
        index = 0
        schema = table_schema(self._path, metadata)
        plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
        for batch in read_batches(self._path, metadata, columns=None if whole else plain):
            for row in _rows(batch):
                if row["error"] is not None or row[SKIPPED_BY] is not None:
                    self.without_scores += 1
                    continue
                path = self._find(row["video"])
                yield Part(
                    index,
                    row["video"],
                    path,
                    row["start_seconds"],
                    row["end_seconds"],
                    bool(row["from_first_frame"]),
                    problem=None if path else not_found(row["video"]),
                    values=_values({name: row[name] for name in plain}),
                    row=partial(_row_of_table, row, metadata),
                )
                index += 1

    def _of_manifest(self) -> Iterator[Part]:
        assert self._manifest is not None
        skipped = Skipped()
        for index, item in enumerate(self._manifest.items(skipped)):
            others = {name: value for name, value in item.row.items() if name not in (*COLUMNS, *PART)}
            row = others | {"video": item.video} | ({"parameters": item.part} if item.part else {})
            problem = str(item.problem) if item.problem is not None else None
            if item.content is not None:
                problem = "the list holds the file itself: save it, and list its name"
            path = None if problem else self._find(item.path)
            if not (path or problem):
                problem = not_found(item.video)
            yield Part(
                index,
                item.video,
                path,
                item.start_seconds,
                item.end_seconds,
                from_first_frame=True,  # as score takes the times of a manifest
                problem=problem,
                values=_values(others) | {"video": item.video, **item.part},
                row=partial(dict, row),
            )
        if skipped.troubles:
            raise InputError(skipped.troubles[0])

    def _find(self, video: str) -> Path | str | None:
        if video not in self._places:
            if len(self._places) >= 65_536:  # parts of a video are near each other in a list
                self._places.clear()
            self._places[video] = place_of(video, self._path)
        return self._places[video]


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows as Python objects, few at a time: they take a hundred times the memory of Arrow's."""
    for first in range(0, batch.num_rows, _ROWS_AT_ONCE):
        yield from batch.slice(first, _ROWS_AT_ONCE).to_pylist()


def _row_of_table(row: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    """The row as `score` prints it; what was kept of a manifest also as `score --keep` finds it beside a video."""
    return {name: row[name] for name in metadata.kept} | as_row(row, metadata)


def _values(row: Mapping[str, object]) -> dict[str, Any]:
    """What a template may name; text that writes a number as Python does is one, for `{scene:03}`."""
    return {name: _number(value) for name, value in row.items() if value is None or isinstance(value, _PLAIN)}


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with suppress(ValueError):
            if str(number := kind(value)) == value and math.isfinite(number):
                return number
    return value


def _count(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _summary(folder: Path, counts: Counts, without_scores: int) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "output": str(folder),
        "parts": counts.parts,
        "written": counts.written,
        "already_there": counts.already_there,
        "failed": counts.failed,
        "without_scores": without_scores,
        "seconds": round(counts.seconds, 3),
    }
    for name in ("earlier_seconds", "later_seconds"):
        if seconds := getattr(counts, name):
            summary[name] = {"median": round(median(seconds), 3), "max": round(max(seconds), 3)}
    return summary


def _table(summary: dict[str, Any]) -> str:
    """The counts as lines of text for a person."""
    rows = [
        ("parts", summary["parts"], ""),
        ("written", summary["written"], f"{summary['seconds']:,.1f} s of video"),
        ("already there", summary["already_there"], "from earlier runs"),
        ("failed", summary["failed"], "run the command again to retry" if summary["failed"] else ""),
        ("left out", summary["without_scores"], "without scores"),
    ]
    lines = [f"{name:14} {count:>9,}  {note}".rstrip() for name, count, note in rows]
    if earlier := summary.get("earlier_seconds"):
        lines.append(
            f"copies begin earlier than their parts: {earlier['median']:g} s (median), {earlier['max']:g} s (most)"
        )
    if later := summary.get("later_seconds"):
        lines.append(f"copies end later than their parts: {later['median']:g} s (median), {later['max']:g} s (most)")
    return "\n".join([*lines, f"wrote {summary['output']}"])
