"""All kinds of heads, with and without mixup, on one split."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from training.heads.errors import HeadError
from training.heads.examples import Examples
from training.heads.fitting import Recipe
from training.heads.kinds import KINDS
from training.heads.metrics import Figure
from training.heads.pictures import draw_comparison
from training.heads.split import Split
from training.heads.training_run import Outcome, name_of, read_outcome, train

PICTURE = "comparison.png"
TABLE = "comparison.json"

Row = tuple[Recipe, Outcome]


def compare(examples: Examples, parts: Split, recipe: Recipe, output: Path, report: Callable[[str], None]) -> list[Row]:
    """Train every kind without mixup and with that of `recipe`, each into a directory of its own in `output`.

    Heads that are done already, because the comparison was stopped, are not trained again. Raises `HeadError`.
    """
    if (output / TABLE).exists():
        raise HeadError(f"{output} has a comparison: remove it, or choose another output")
    rows: list[Row] = []
    for kind in KINDS:
        for mixup in (None, recipe.mixup):
            one = replace(recipe, kind=kind, mixup=mixup)
            directory = output / (kind if mixup is None else f"{kind}_mixup")
            report(f"\n{name_of(one)}: {KINDS[kind].about}")
            outcome = read_outcome(directory, examples, parts, one)
            if outcome:
                report(f"done before, in {directory}")
            else:
                outcome = train(examples, parts, one, directory, report)
            rows.append((one, outcome))
    try:
        title = f"{len(parts.test)} test videos, embeddings of {examples.on}"
        draw_comparison(output / PICTURE, [(name_of(one), outcome.figures) for one, outcome in rows], title)
        content = [
            {"kind": one.kind, "mixup": one.mixup, "epochs": outcome.epochs, "best_epoch": outcome.best_epoch}
            | {name: asdict(figure) for name, figure in outcome.figures.items()}
            for one, outcome in rows
        ]
        (output / TABLE).write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise HeadError(f"cannot write {error.filename or output}: {error.strerror or error}") from error
    return rows


def table(rows: Sequence[Row]) -> str:
    """The figures of all heads as lines of text, best accuracy first."""
    lines = [f"{'kind':<14} {'mixup':>5}  {'accuracy':^21}  {'micro F1':^21}  {'macro F1':^21}  {'epochs':>6}"]
    for one, outcome in sorted(rows, key=lambda row: -row[1].figures["accuracy"].value):
        mixup = "-" if one.mixup is None else f"{one.mixup:g}"
        found = "  ".join(_interval(outcome.figures[name]) for name in ("accuracy", "f1_micro", "f1_macro"))
        lines.append(f"{one.kind:<14} {mixup:>5}  {found}  {outcome.epochs:6d}")
    return "\n".join(lines)


def _interval(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})".center(21)
