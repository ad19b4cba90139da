"""`video-motion learn SCORES --annotations FILE`: learn from yes and no which videos to keep."""

import argparse
import json
import math
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import xgboost

from .. import __version__
from .._counted import counted
from .._learn.answers import LEAST_ANSWERS, agreed, read_answers
from .._learn.collect import Examples, collect
from .._learn.errors import LearnError
from .._learn.figures import Figure, figures, interval
from .._learn.learned_filter import LearnedFilter, Origin
from .._learn.threshold import Threshold
from .._learn.training import Learned, check_answers, learn
from .._tables.table import TableError, read_metadata
from .output_files import check_folder, check_output, is_json_with
from .parser import command_parser
from .path_arguments import local_path
from .program import sibling

SHOWN_FEATURES = 10
MODEL_KEY = "learner"
"""A key of every model in XGBoost's JSON."""
_BAR = 30
NOTES = (
    "Answers are a CSV file with the columns video and answer (yes or no), and start_seconds and end_seconds if the "
    "table has parts of videos. With several files, or a column annotator, the majority decides.",
    f"It needs {LEAST_ANSWERS} answers, at least 5 of each kind. Every numeric column of the table is a feature, and "
    "so is the mean probability of each camera label. The figures are of 5-fold cross-validation, with 95 % intervals.",
)
STATUSES = {0: "done", 1: "a file cannot be read or written, or there are too few answers"}
EXAMPLES = (
    "scores.parquet --annotations answers.csv --output filter.json",
    "scores.parquet --annotations ann.csv --annotations bob.csv --output filter.json --format json",
)


def main(arguments: list[str] | None = None, program: str = "video-motion learn") -> int:
    """Parse the command line, learn, print the figures; returns the exit status."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if options.output.suffix != ".json":
        parser.error(f"--output {options.output} must end in .json")
    if options.output.resolve() in {path.resolve() for path in (options.scores, *options.annotations)}:
        parser.error("--output would overwrite an input")
    check_output(parser, "--output", options.output, "learned filter", partial(is_json_with, key=MODEL_KEY))
    try:
        check_folder(options.output)
        answers, disputed = agreed(answer for path in options.annotations for answer in read_answers(path))
        metadata = read_metadata(options.scores)
        if not metadata.weights:
            raise LearnError(f"{options.scores} does not name the weights behind its scores; use .parquet or .jsonl")
        examples = collect(options.scores, metadata, answers)
        check_answers(int(examples.keep.sum()), int((~examples.keep).sum()))
        learned = learn(examples.features, examples.keep, examples.names, options.seed)
    except (LearnError, TableError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        return _unwritable(options.output, error)
    held_out = figures(examples.keep, learned.held_out)
    origin = Origin(
        weights={network: metadata.weights.get(network, "") for network in ("motion", "camera")}
        | {network: name for network, name in metadata.weights.items() if network == "autoencoder"},
        labels=metadata.labels,
        answers={"yes": int(examples.keep.sum()), "no": int((~examples.keep).sum())},
        figures={name: asdict(figure) for name, figure in held_out.items()},
        versions={"video_motion": __version__, "xgboost": xgboost.__version__},
    )
    learned_filter = LearnedFilter(learned.booster, origin)
    try:
        learned_filter.save(options.output)
    except OSError as error:
        return _unwritable(options.output, error)
    summary = _summary(options.output, learned_filter, learned, examples, held_out) | {"disputed": disputed}
    if (options.format or ("table" if sys.stdout.isatty() else "json")) == "json":
        print(json.dumps(summary))
    else:
        print(_table(summary, held_out))
    return 0


def _unwritable(path: Path, error: OSError) -> int:
    print(f"cannot write {path}: {error.strerror or error}", file=sys.stderr)
    return 1


def _parser(program: str) -> argparse.ArgumentParser:
    parser = command_parser(
        program,
        "Learn from yes and no which videos to keep.",
        notes=(*NOTES, f"`{sibling(program, 'filter')} SCORES --learned FILE` uses the filter."),
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "scores", metavar="SCORES", type=local_path, help=f"table that `{sibling(program, 'score')} --output` wrote"
    )
    parser.add_argument(
        "--annotations", action="append", required=True, type=local_path, metavar="FILE", help="answers (repeatable)"
    )
    parser.add_argument("--output", required=True, type=local_path, metavar="FILE", help="the filter: a .json file")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of folds and trees (default: %(default)s)")
    parser.add_argument(
        "--format", choices=("table", "json"), help="format of the figures (default: table on a terminal, else JSON)"
    )
    return parser


def _summary(
    path: Path, learned_filter: LearnedFilter, learned: Learned, examples: Examples, held_out: dict[str, Figure]
) -> dict[str, Any]:
    others = {"best single threshold": learned.threshold_held_out, **examples.kept_by_presets}
    accuracies = {name: interval(examples.keep, kept, _accuracy) for name, kept in others.items()}
    return {
        "filter": str(path),
        "answers": learned_filter.origin.answers,
        "not_found": examples.not_found,
        "trees": learned.trees,
        "figures": {name: asdict(figure) for name, figure in held_out.items()},
        "accuracy_of_others": {name: asdict(figure) for name, figure in accuracies.items()},
        "best_threshold": _threshold(learned.threshold, examples.names),
        "importance": learned_filter.importance(),
    }


def _threshold(best: Threshold, names: list[str]) -> dict[str, Any] | None:
    """The best single threshold as the option of `filter` that drops the others; None if it keeps or drops all."""
    if not math.isfinite(best.cutoff):
        return None
    return {
        "measure": names[best.feature],
        "keep": "above" if best.keeps_above else "below",
        "cutoff": float(f"{best.cutoff:.6g}"),
    }


def _accuracy(keep: Any, said: Any) -> float:
    return float((keep == said).mean())


def _table(summary: dict[str, Any], held_out: dict[str, Figure]) -> str:
    """The figures as lines of text for a person."""
    answers = summary["answers"]
    missing = f", {summary['not_found']} about no scored row" if summary["not_found"] else ""
    missing += f", {summary['disputed']} without a majority" if summary["disputed"] else ""
    yes, trees = counted(answers["yes"], "answer"), counted(summary["trees"], "tree")
    lines = [f"{yes} of yes, {answers['no']} of no{missing}; {trees}", ""]
    lines.append("on answers that it had not seen (95 % interval)")
    lines += [f"  {name.replace('_', ' '):22} {figure}" for name, figure in held_out.items()]
    lines += ["", "accuracy of"]
    lines += [f"  {name:22} {Figure(**figure)}" for name, figure in summary["accuracy_of_others"].items()]
    if best := summary["best_threshold"]:
        option = "below" if best["keep"] == "above" else "above"
        lines.append(
            f"the best single threshold keeps {best['measure']} {best['keep']} {best['cutoff']:g}: "
            f"filter --{option} {best['measure']}={best['cutoff']:g}"
        )
    lines += ["", "what matters (share of the gain)"]
    for name, share in list(summary["importance"].items())[:SHOWN_FEATURES]:
        lines.append(f"  {name:28} {share:4.0%} {'#' * round(share * _BAR)}")
    return "\n".join([*lines, "", f"wrote {summary['filter']}"])
