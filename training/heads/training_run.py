"""One head: train, test, write its directory."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.heads.batches import Videos
from training.heads.errors import HeadError
from training.heads.examples import Examples
from training.heads.fitting import EVALUATION_BATCH, Progress, Recipe, fit
from training.heads.kinds import HeadKind, probabilities_of
from training.heads.metrics import Figure, confusion, decided, f1_of_labels, figures
from training.heads.pictures import draw_confusion, draw_found, draw_learning_curves
from training.heads.saved import HeadConfig, save_head, whole_directory
from training.heads.split import Split

METRICS = "metrics.json"
CURVES = "learning_curves.png"
CONFUSION = "confusion_matrix.png"
PREDICTIONS = "test_videos.csv"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a training."""

    figures: dict[str, Figure]
    """`accuracy`, `f1_micro` and `f1_macro` on the test videos."""
    epochs: int
    best_epoch: int
    """The one whose weights were kept, from 1 on."""


def check_free(output: Path) -> None:
    """Raise `HeadError` if a directory `output` cannot be written without replacing something."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise HeadError(f"{output} exists: remove it, or choose another output")
    if not output.name:
        raise HeadError(f"{output} is no name for a new directory")


def train(examples: Examples, parts: Split, recipe: Recipe, output: Path, report: Report) -> Outcome:
    """Train a head on one part of the videos, test it on another, and write the directory `output`.

    Until it is whole, the progress is in a file of the same name with `.training` at the end, from which a later call
    goes on. Raises `HeadError`.
    """
    check_free(output)
    checkpoint = output.with_name(f"{output.name}.training")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        taken = {name: examples.take(indices) for name, indices in vars(parts).items()}
        data = _fingerprint(examples, parts)
        head, progress = fit(taken["training"], taken["validation"], recipe, checkpoint, data, report)
        test = taken["test"]
        probabilities = predict(head, test)
        found = decided(probabilities, multi_label=test.multi_label)
        outcome = Outcome(figures(test.targets, found, recipe.seed), len(progress.history), progress.best_epoch)
        encoder, revision = HeadConfig.encoder_of(examples.encoder)
        config = HeadConfig(
            kind=recipe.kind,
            on=examples.on,
            encoder=encoder,
            revision=revision,
            frames=examples.frames,
            width=examples.width,
            labels=examples.labels,
            multi_label=examples.multi_label,
        )
        with whole_directory(output) as directory:
            save_head(head, config, directory)
            _write_metrics(directory / METRICS, examples, parts, recipe, progress, outcome, found, data)
            _write_predictions(directory / PREDICTIONS, test, probabilities, found)
            _draw(directory, test, found, recipe, progress, outcome)
        checkpoint.unlink(missing_ok=True)
    except OSError as error:
        raise HeadError(f"cannot write {error.filename or output}: {error.strerror or error}") from error
    return outcome


def read_outcome(output: Path, examples: Examples, parts: Split, recipe: Recipe) -> Outcome | None:
    """The outcome of a training that is done; None if it is not. Raises `HeadError` if it is one of something else."""
    if not (output / METRICS).is_file():
        return None
    try:
        content = json.loads((output / METRICS).read_text(encoding="utf-8"))
        same = content["data"] == _fingerprint(examples, parts) and content["recipe"] == asdict(recipe)
        found = {name: Figure(**content[name]) for name in ("accuracy", "f1_micro", "f1_macro")}
        outcome = Outcome(found, content["epochs"], content["best_epoch"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HeadError(f"{output / METRICS} cannot be read: remove {output}") from error
    if not same:
        raise HeadError(f"{output} is of another training: remove it, or choose another output")
    return outcome


@torch.no_grad()
def predict(head: HeadKind, examples: Examples) -> NDArray[np.float32]:
    """(videos, labels) float32 probabilities."""
    videos = Videos(examples, type(head), head.mean.numpy())
    parts = [
        probabilities_of(head(batch.embeddings, batch.mask), multi_label=examples.multi_label)
        for batch in videos.in_order(EVALUATION_BATCH)
    ]
    return torch.cat(parts).numpy()


def name_of(recipe: Recipe) -> str:
    """The kind of head, and its mixup, for a person."""
    return recipe.kind if recipe.mixup is None else f"{recipe.kind}, mixup {recipe.mixup:g}"


def _fingerprint(examples: Examples, parts: Split) -> str:
    digest = hashlib.sha256(examples.fingerprint.encode())
    for indices in vars(parts).values():
        digest.update(repr(indices.tolist()).encode())
    return digest.hexdigest()


def _write_metrics(
    path: Path,
    examples: Examples,
    parts: Split,
    recipe: Recipe,
    progress: Progress,
    outcome: Outcome,
    found: NDArray[np.bool_],
    data: str,
) -> None:
    targets = examples.targets[parts.test]
    each = f1_of_labels(targets, found)
    content = {
        **{name: asdict(figure) for name, figure in outcome.figures.items()},
        "videos": {name: len(indices) for name, indices in vars(parts).items()},
        "labels": {
            label: {
                "videos": int(examples.targets[:, column].sum()),
                "test_videos": int(targets[:, column].sum()),
                "f1": None if np.isnan(each[column]) else float(each[column]),
            }
            for column, label in enumerate(examples.labels)
        },
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "history": [asdict(epoch) for epoch in progress.history],
        "notes": list(examples.notes),
        "recipe": asdict(recipe),
        "data": data,
    }
    if not examples.multi_label:
        content["confusion"] = confusion(targets, found).tolist()
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_predictions(
    path: Path, test: Examples, probabilities: NDArray[np.float32], found: NDArray[np.bool_]
) -> None:
    labels = np.array(test.labels, dtype=object)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video", "label", "given", *(f"p({label})" for label in test.labels)])
        for row, video in enumerate(test.videos):
            names = (";".join(labels[which[row]]) for which in (test.targets, found))
            writer.writerow([video, *names, *(f"{value:.6f}" for value in probabilities[row])])


def _draw(
    directory: Path, test: Examples, found: NDArray[np.bool_], recipe: Recipe, progress: Progress, outcome: Outcome
) -> None:
    name = name_of(recipe)
    draw_learning_curves(directory / CURVES, progress.history, progress.best_epoch, name)
    accuracy = outcome.figures["accuracy"]
    title = f"{name}: {accuracy.value:.1%} of {len(test.videos)} test videos"
    if test.multi_label:
        draw_found(directory / CONFUSION, test.targets, found, test.labels, f"{title} with all labels right")
    else:
        draw_confusion(directory / CONFUSION, confusion(test.targets, found), test.labels, f"{title} right")
