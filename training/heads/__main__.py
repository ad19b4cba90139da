"""`python -m training.heads`: train a head on labelled videos; with `compare`, all kinds of heads."""

import argparse
import sys
from pathlib import Path

COMPARE = "compare"
KINDS = ("linear", "transformer", "random_frame", "frame_average", "lstm")
"""Those of `training.heads.kinds`, which takes seconds to import."""
DEFAULT_MIXUP = 0.2
EPILOG = """\
examples:
  python -m training.heads --scores scores.parquet --labels labels.csv --kind transformer --output heads/genre
  python -m training.heads compare --scores scores.parquet --labels labels.csv --on segments --output comparison

If a training is stopped or killed, run the same command again: it goes on after the last whole epoch.

exit status: 0 trained, 1 a file is wrong (a sentence says how), 2 wrong command line, 130 interrupted"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, train, print the figures, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    comparing = arguments[:1] == [COMPARE]
    parser = _parser(comparing=comparing)
    options = parser.parse_args(arguments[1:] if comparing else arguments)
    _check(parser, options)
    # PyTorch and matplotlib take seconds to import: not for --help.
    from training.heads.errors import HeadError

    try:
        return _run(options, comparing=comparing)
    except HeadError as error:
        print(f"heads: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("heads: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, *, comparing: bool) -> int:
    from training.heads.comparison import compare, table
    from training.heads.examples import load_examples
    from training.heads.fitting import Recipe
    from training.heads.split import split
    from training.heads.training_run import check_free, train

    if not comparing:
        check_free(options.output)  # before minutes of reading
    examples = load_examples(options.scores, options.labels, options.on)
    for note in examples.notes:
        print(f"NOTE: {note}", file=sys.stderr)
    parts = split(examples.targets, options.test_size, options.seed)
    if not len(parts.validation):
        print("NOTE: too few videos for validation: training does not stop early", file=sys.stderr)
    untested = [
        name for name, tested in zip(examples.labels, examples.targets[parts.test].any(0), strict=True) if not tested
    ]
    if untested:
        print(f"NOTE: labels without a test video: {', '.join(untested)}", file=sys.stderr)
    _report(
        f"{len(examples.videos)} videos, {len(examples.labels)} labels, up to {examples.frames} {examples.on} of "
        f"{examples.width} values, by {examples.encoder}\n{len(parts.training)} to learn from, "
        f"{len(parts.validation)} for validation, {len(parts.test)} to test with"
    )
    recipe = Recipe(
        kind=KINDS[0] if comparing else options.kind,
        mixup=options.mixup,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=options.patience,
        seed=options.seed,
    )
    if comparing:
        rows = compare(examples, parts, recipe, options.output, _report)
        _report(f"\n{table(rows)}\n\nintervals are 95 %; the pictures and the heads are in {options.output}")
        return 0
    outcome = train(examples, parts, recipe, options.output, _report)
    for name, figure in outcome.figures.items():
        _report(f"{name:<9} {figure.value:.3f}, 95 % interval {figure.low:.3f} to {figure.high:.3f}")
    _report(f"{options.output} has the head of epoch {outcome.best_epoch}, its figures and pictures")
    return 0


def _report(line: str) -> None:
    print(line, flush=True)


def _parser(*, comparing: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m training.heads {COMPARE}" if comparing else "python -m training.heads",
        description="Train every kind of head with and without mixup on one split of labelled videos, and compare them."
        if comparing
        else "Train a small classifier of videos over the embeddings in a table of scores.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not comparing:
        parser.usage = "%(prog)s [options], or %(prog)s compare [options]"
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        metavar="TABLE",
        help="tables with embeddings that `video-motion score --output` wrote: .parquet or .jsonl",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="FILE",
        help="CSV with the columns video and label; several rows of a video, or ; between labels, for several labels",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIRECTORY", help="directory to write")
    if not comparing:
        parser.add_argument("--kind", choices=KINDS, required=True, help="kind of head")
    parser.add_argument(
        "--on",
        choices=("frames", "segments"),
        default="frames",
        help="what to take embeddings of (default: %(default)s)",
    )
    parser.add_argument(
        "--mixup",
        type=float,
        default=DEFAULT_MIXUP if comparing else None,
        metavar="ALPHA",
        help="mix pairs of videos, with a share from Beta(ALPHA, ALPHA); "
        + (f"(default: {DEFAULT_MIXUP})" if comparing else "0.2 is usual (default: no mixup)"),
    )
    parser.add_argument(
        "--test-size",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the videos to test with; as many are for validation (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and of training (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="the most epochs (default: %(default)s)")
    parser.add_argument(
        "--patience",
        type=int,
        default=3,
        metavar="EPOCHS",
        help="stop after so many epochs without a lower validation loss; 0: never (default: %(default)s)",
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="VIDEOS", help="(default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="RATE", help="(default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.01, metavar="DECAY", help="(default: %(default)s)")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with status 2 if a number is out of range; NaN is."""
    rules = (
        ("mixup", options.mixup is None or 0 < options.mixup <= 100, "above 0 and at most 100"),
        ("test-size", 0 < options.test_size <= 0.5, "above 0 and at most 0.5"),
        ("seed", options.seed >= 0, "at least 0"),
        ("epochs", options.epochs >= 1, "at least 1"),
        ("patience", options.patience >= 0, "at least 0"),
        ("batch-size", options.batch_size >= 1, "at least 1"),
        ("learning-rate", 0 < options.learning_rate <= 1, "above 0 and at most 1"),
        ("weight-decay", 0 <= options.weight_decay <= 1, "between 0 and 1"),
    )
    for name, right, expected in rules:
        if not right:
            parser.error(f"--{name} is {getattr(options, name.replace('-', '_'))}, it must be {expected}")


if __name__ == "__main__":
    sys.exit(main())
