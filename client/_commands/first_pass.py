"""`video-motion first-pass calibrate SCORES`: thresholds for `score --first-pass`, and what they lose."""

import argparse
import json
import math
import os
import sys
from contextlib import closing
from functools import partial
from typing import Any

from .. import __version__
from .._counted import counted
from .._first_pass.calibration import LEAST_MOVING, Calibration, Figures, calibrate
from .._first_pass.collect import UNSEEN, Measured, collect
from .._first_pass.errors import FirstPassError
from .._first_pass.first_pass import MEASURE
from .._first_pass.part import Part
from .._first_pass.thresholds import KEY, write_thresholds
from .._first_pass.workers import Workers
from .._tables.columns import check_motion, from_stand_ins
from .._tables.presets import PRESETS
from .._tables.table import TableError, read_metadata
from .output_files import check_folder, check_output, is_json_with
from .parser import command_parser
from .path_arguments import local_path

NOTES = (
    f"A video moves if its scores are not all below the cut-offs of static ({PRESETS['static']}), and it is not black "
    "or frozen throughout. The thresholds are chosen on one half of the videos, so that they skip most videos and keep "
    "the asked share of those that move; the recall is that of the other half, with its 95 % interval (Wilson). If the "
    f"other half loses more, nothing is written. Each half needs {LEAST_MOVING} videos that move.",
    f"The table is of `score` without a first pass, or with --first-pass {MEASURE}; without the latter's columns, the "
    "videos themselves are looked at.",
)
STATUSES = {0: "done", 1: "a file cannot be read or written, or the videos do not allow what is asked for"}
EXAMPLES = (
    "calibrate scores.parquet --output thresholds.json",
    "calibrate scores.parquet --recall 0.999 --output thresholds.json",
)


def main(arguments: list[str] | None = None, program: str = "video-motion first-pass") -> int:
    """Parse the command line, calibrate, write; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if not (0.5 <= options.recall < 1):
        parser.error(f"--recall is {options.recall:g}, it must be at least 0.5 and below 1")
    if options.output is not None and options.output.suffix != ".json":
        parser.error(f"--output {options.output} must end in .json")
    if options.output is not None:
        check_output(parser, "--output", options.output, "file of thresholds", partial(is_json_with, key=KEY))
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}, it must be at least 1")
    try:
        if options.output is not None:
            check_folder(options.output)
        metadata = read_metadata(options.scores)
        check_motion(options.scores, metadata)
        threads = max(1, (os.cpu_count() or 1) // options.jobs)
        with closing(Workers(None, threads)) as workers:

            def look(path: str, part: Part) -> Measured:
                try:
                    seen = workers.look(path, part)
                except FirstPassError as error:
                    print(f"{path}: {error}", file=sys.stderr, flush=True)
                    return UNSEEN
                return UNSEEN if seen is None else (seen.change, seen.black_share, seen.frozen_share)

            examples, looked_at, unseen = collect(options.scores, metadata, look, options.jobs)
        found = calibrate(examples, options.recall)
        summary = _summary(options, found, looked_at, unseen, metadata.weights)
        if options.output is not None:
            write_thresholds(options.output, found.thresholds, summary["calibration"])
    except (TableError, FirstPassError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parser.prog}: cannot write {options.output}: {error.strerror or error}", file=sys.stderr)
        return 1
    if from_stand_ins(metadata):
        print("NOTE: these scores come from random weights: they mean nothing", file=sys.stderr)
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    print(_table(found, options, looked_at, unseen) if as_table else json.dumps(summary))
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Calibrate the thresholds of score --first-pass: how much they skip, and what they lose.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument("action", choices=("calibrate",), metavar="calibrate", help="the only thing to do")
    parser.add_argument("scores", metavar="SCORES", type=local_path, help="table with the scores of all its videos")
    parser.add_argument("--output", type=local_path, metavar="FILE", help="the thresholds: a .json file")
    parser.add_argument(
        "--recall",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="least share of the videos that move to keep (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, 8),
        metavar="N",
        help="videos that are looked at at once (default: one for each core, at most 8)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), help="format of the figures (default: table on a terminal, else JSON)"
    )
    return parser


def _summary(
    options: argparse.Namespace, found: Calibration, looked_at: int, unseen: int, weights: dict[str, str]
) -> dict[str, Any]:
    calibration = {
        "scores": str(options.scores),
        "least_recall": options.recall,
        "cutoffs": {limit.score: limit.cutoff for limit in PRESETS["static"].limits},
        "held_out": found.held_out.as_dict(),
        "chosen_on": found.chosen_on.as_dict(),
        "black_with_scores_that_move": found.black,
        "frozen_with_scores_that_move": found.frozen,
        "looked_at": looked_at,
        "could_not_be_looked_at": unseen,
        "weights": weights,
        "version": __version__,
    }
    written = None if options.output is None else str(options.output)
    return {"output": written, "thresholds": vars(found.thresholds), "calibration": calibration}


def _table(found: Calibration, options: argparse.Namespace, looked_at: int, unseen: int) -> str:
    """The figures as lines of text for a person."""
    lines = [f"{'':12} {'videos':>8} {'moving':>8} {'lost':>6}  {'recall (95 % interval)':28} skipped"]
    for name, of in (("chosen on", found.chosen_on), ("held out", found.held_out)):
        lines.append(f"{name:12} {of.videos:8,} {of.moving:8,} {of.lost:6,}  {_recall(of):28} {of.saving:.1%}")
    lines.append("")
    for name, value in vars(found.thresholds).items():
        lines.append(f"{name:14} {'never' if value is None else f'{value:g}'}")
    if found.black or found.frozen:
        counts = f"{found.black:,} black and {found.frozen:,} frozen videos"
        lines += ["", f"{counts} have scores of videos that move; they count as standing still"]
    if looked_at:
        could_not = f", {unseen:,} of them cannot be looked at and are never skipped" if unseen else ""
        lines += ["", f"looked at {counted(looked_at, 'video')}{could_not}"]
    return "\n".join([*lines, *(["", f"wrote {options.output}"] if options.output else [])])


def _recall(of: Figures) -> str:
    low, high = of.interval
    return f"{of.recall:.2%} ({low:.2%} to {high:.2%})" if math.isfinite(of.recall) else "no video moves"
