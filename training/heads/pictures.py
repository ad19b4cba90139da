"""Pictures of trainings, as PNG."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.heads.fitting import Epoch
from training.heads.metrics import Figure

DOTS_PER_INCH = 130
FIRST, SECOND, GREY = "#1f5fa8", "#d1701c", "#777777"
NUMBERS_UP_TO = 25
"""Labels of a confusion matrix that has the numbers in its cells."""
LONGEST_NAME = 28


def draw_learning_curves(path: Path, history: Sequence[Epoch], best_epoch: int, title: str) -> None:
    """Losses, and accuracy on the validation videos, of each epoch; a line marks the epoch that was kept."""
    with _canvas(path, 9, 3.4, title) as canvas:
        losses, accuracy = canvas.subplots(1, 2)
        epochs = np.arange(1, len(history) + 1)
        losses.plot(epochs, [each.training_loss for each in history], "o-", color=FIRST, label="training")
        validated = [each for each in history if each.validation_loss is not None]
        if validated:
            losses.plot(epochs, [each.validation_loss for each in history], "o-", color=SECOND, label="validation")
            accuracy.plot(epochs, [100 * (each.validation_accuracy or 0) for each in history], "o-", color=SECOND)
        else:
            accuracy.text(0.5, 0.5, "no validation videos", ha="center", transform=accuracy.transAxes, color=GREY)
        losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        accuracy.set(xlabel="epoch", ylabel="accuracy on validation videos, %", ylim=(0, 102))
        for axes in (losses, accuracy):
            axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":", label=f"kept: epoch {best_epoch}")
            axes.set_xticks(epochs if len(epochs) <= 20 else epochs[:: len(epochs) // 10])
            _plain(axes)
        losses.legend(frameon=False)


def draw_confusion(path: Path, matrix: NDArray[np.int64], labels: Sequence[str], title: str) -> None:
    """A row for each true label, a column for each given one; colours are shares of the row."""
    count = len(labels)
    side = np.clip(0.42 * count, 2.4, 16)
    with _canvas(path, side + 2.6, side + 1.9, title) as canvas:
        axes = canvas.subplots()
        shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        names = [_short(label) for label in labels]
        axes.set_xticks(np.arange(count), names, rotation=90, fontsize=_letters(count))
        axes.set_yticks(np.arange(count), names, fontsize=_letters(count))
        axes.set(xlabel="label given by the head", ylabel="true label")
        axes.tick_params(length=0)
        if count <= NUMBERS_UP_TO:
            for row, column in zip(*np.nonzero(matrix), strict=True):
                colour = "white" if shares[row, column] > 0.55 else "black"
                axes.text(column, row, matrix[row, column], ha="center", va="center", color=colour, fontsize=8)
        bar = canvas.colorbar(image, shrink=0.7)
        bar.set_label("share of the row's videos")


def draw_found(
    path: Path, targets: NDArray[np.bool_], found: NDArray[np.bool_], labels: Sequence[str], title: str
) -> None:
    """For videos with several labels: how often each label was found, missed, and given without being true."""
    count = len(labels)
    with _canvas(path, 7, np.clip(0.3 * count, 1.5, 20) + 1.6, title) as canvas:
        axes = canvas.subplots()
        rows = np.arange(count)
        right, missed, wrong = (targets & found).sum(0), (targets & ~found).sum(0), (~targets & found).sum(0)
        axes.barh(rows, right, color=FIRST, label="found")
        axes.barh(rows, missed, left=right, color="#b9cde5", label="missed")
        axes.barh(rows, -wrong, color=SECOND, label="given, but not true")
        axes.set_yticks(rows, [_short(label) for label in labels], fontsize=_letters(count))
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set(xlabel="test videos")
        _plain(axes)
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.5 / max(0.3 * count, 1.5)), ncols=3)


def draw_comparison(path: Path, rows: Sequence[tuple[str, dict[str, Figure]]], title: str) -> None:
    """Accuracy and macro F1 of each head with their intervals; `rows` are names and figures."""
    with _canvas(path, 9.5, 0.36 * len(rows) + 1.9, title) as canvas:
        axes = canvas.subplots()
        for offset, name, label, colour in (
            (-0.13, "accuracy", "accuracy", FIRST),
            (0.13, "f1_macro", "macro F1", SECOND),
        ):
            figures = [figures[name] for _, figures in rows]
            values = np.array([figure.value for figure in figures])
            low, high = (np.array([getattr(figure, end) for figure in figures]) for end in ("low", "high"))
            spread = np.maximum([values - low, high - values], 0)
            axes.errorbar(values, np.arange(len(rows)) + offset, xerr=spread, fmt="o", color=colour, label=label)
        axes.set_yticks(
            np.arange(len(rows)),
            [f"{name}   {_interval(figures['accuracy'])}" for name, figures in rows],
        )
        axes.invert_yaxis()
        axes.set(xlabel="on the test videos, with 95 % intervals", xlim=(None, 1.01))
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
        _plain(axes)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


@contextmanager
def _canvas(path: Path, width: float, height: float, title: str) -> Iterator[Canvas]:
    # A label with a dollar sign is no formula, and one in a script that the font lacks needs no warning.
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        canvas = Canvas(figsize=(width, height), layout="constrained")
        canvas.suptitle(title, fontsize=10)
        yield canvas
        canvas.savefig(path, dpi=DOTS_PER_INCH)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _letters(count: int) -> Any:
    return float(np.clip(320 / count, 4, 9))


def _interval(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
