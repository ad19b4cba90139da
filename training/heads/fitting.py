"""The training loop, which goes on after the last whole epoch if it was stopped."""

import copy
import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from training.heads.batches import Batch, Videos
from training.heads.errors import HeadError
from training.heads.examples import Examples
from training.heads.kinds import KINDS, HeadKind, Shape, probabilities_of
from training.heads.metrics import decided

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """How a head is trained."""

    kind: str
    """A key of `KINDS`."""
    mixup: float | None = None
    """Alpha of mixup; None: without."""
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    patience: int = 3
    """Epochs without a lower validation loss after which training stops; 0: never."""
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch."""

    training_loss: float
    """Of the batches as they were learned from: mixed, and with dropout."""
    validation_loss: float | None
    """None without validation videos, as all that follow."""
    validation_accuracy: float | None


@dataclass
class Progress:
    """A training between two epochs."""

    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights after the epoch with the lowest validation loss; the latest without validation videos."""
    best_epoch: int = 0
    """From 1 on; 0 before the first."""
    history: list[Epoch] = field(default_factory=list)


def fit(
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    checkpoint: Path,
    data: str,
    report: Callable[[str], None],
) -> tuple[HeadKind, Progress]:
    """Train a head with AdamW; returns it with its best weights, in evaluation mode, and its history.

    After each epoch, the progress is in the file `checkpoint`, from which a later call goes on to the same result, bit
    by bit on the same machine. `data` is a fingerprint of all data. Raises `HeadError` if the checkpoint is of another
    training.
    """
    kind = KINDS[recipe.kind]
    shape = Shape(training.width, len(training.labels), training.multi_label)
    return _Fitting(kind, shape, training, validation, recipe, checkpoint, data).run(report)


class _Fitting:
    def __init__(
        self,
        kind: type[HeadKind],
        shape: Shape,
        training: Examples,
        validation: Examples,
        recipe: Recipe,
        checkpoint: Path,
        data: str,
    ) -> None:
        self.recipe, self.checkpoint = recipe, checkpoint
        self.run_of = {**asdict(recipe), "data": data}
        mean, deviation = _moments(training)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.model = kind(shape)
        self.model.standardise(torch.from_numpy(mean), torch.from_numpy(deviation))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.training, self.validation = (Videos(each, kind, mean) for each in (training, validation))
        self.progress = Progress()

    def run(self, report: Callable[[str], None]) -> tuple[HeadKind, Progress]:
        self._resume(report)
        progress, epochs = self.progress, self.recipe.epochs
        while len(progress.history) < epochs and not self._out_of_patience():
            started = time.monotonic()
            number = len(progress.history) + 1
            epoch = Epoch(self._learn(number), *self._validate())
            progress.history.append(epoch)
            if self._is_best(epoch):
                progress.best_epoch, progress.best = number, copy.deepcopy(self.model.state_dict())
            self._save()
            report(f"epoch {number} of {epochs}: {_sentence(epoch)}, {time.monotonic() - started:.1f} s")
        if len(progress.history) < epochs:
            report(f"stopped: no lower validation loss in {self.recipe.patience} epochs")
        self.model.load_state_dict(progress.best)
        return self.model.eval(), progress

    def _out_of_patience(self) -> bool:
        since = len(self.progress.history) - self.progress.best_epoch
        return bool(self.recipe.patience) and since >= self.recipe.patience

    def _is_best(self, epoch: Epoch) -> bool:
        losses = [each.validation_loss for each in self.progress.history[:-1] if each.validation_loss is not None]
        return epoch.validation_loss is None or epoch.validation_loss < min(losses, default=math.inf)

    def _learn(self, number: int) -> float:
        """One epoch; its mean loss."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number])
        size = recipe.batch_size
        batches = self.training.mixed(rng, size, recipe.mixup) if recipe.mixup else self.training.shuffled(rng, size)
        total = 0.0
        self.model.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))  # of dropout
            steps = math.ceil(len(self.training) / size)
            for batch in tqdm(batches, f"epoch {number}", steps, leave=False, disable=None):
                self.optimizer.zero_grad(set_to_none=True)
                loss = self._loss(batch)
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                total += float(loss.detach()) * len(batch.targets)
        if not math.isfinite(total):
            raise HeadError(f"the loss is not finite in epoch {number}: lower the learning rate")
        return total / len(self.training)

    @torch.no_grad()
    def _validate(self) -> tuple[float | None, float | None]:
        """Loss and accuracy on the validation videos."""
        if not len(self.validation):
            return None, None
        self.model.eval()
        loss = right = 0.0
        for batch in self.validation.in_order(EVALUATION_BATCH):
            logits = self.model(batch.embeddings, batch.mask)
            loss += float(self._loss_of(logits, batch.targets)) * len(batch.targets)
            multi_label = self.model.shape.multi_label
            found = decided(probabilities_of(logits, multi_label=multi_label).numpy(), multi_label=multi_label)
            right += int((found == batch.targets.numpy().astype(bool)).all(1).sum())
        return loss / len(self.validation), right / len(self.validation)

    def _loss(self, batch: Batch) -> Tensor:
        return self._loss_of(self.model(batch.embeddings, batch.mask), batch.targets)

    def _loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.model.shape.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, targets)
        return functional.cross_entropy(logits, targets)

    def _resume(self, report: Callable[[str], None]) -> None:
        if not self.checkpoint.is_file():
            return
        again = f"remove {self.checkpoint} to start again, or choose another output"
        try:
            saved = torch.load(self.checkpoint, weights_only=True)
            run_of, state = saved["run_of"], saved["progress"]
            changed = [name for name in self.run_of if run_of.get(name) != self.run_of[name]]
            if not changed:
                self.model.load_state_dict(state["model"])
                self.optimizer.load_state_dict(state["optimizer"])
                history = [Epoch(*each) for each in state["history"]]
                self.progress = Progress(state["best"], state["best_epoch"], history)
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise HeadError(f"{self.checkpoint} is damaged: {again}") from error
        if changed:
            told = ", ".join(
                "other videos, labels or embeddings" if name == "data" else f"{name} {run_of.get(name)}, not {new}"
                for name, new in self.run_of.items()
                if name in changed
            )
            raise HeadError(f"{self.checkpoint} is of a training with {told}: {again}")
        report(f"going on after epoch {len(self.progress.history)}, from {self.checkpoint}")

    def _save(self) -> None:
        """Write the checkpoint whole: if the process is killed, the one before stays."""
        progress = self.progress
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": progress.best,
            "best_epoch": progress.best_epoch,
            "history": [list(asdict(each).values()) for each in progress.history],
        }
        partial = self.checkpoint.with_name(self.checkpoint.name + ".partial")
        torch.save({"run_of": self.run_of, "progress": state}, partial)
        os.replace(partial, self.checkpoint)


def _moments(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (width,) float32 over all frames of all videos."""
    total, squares, count = np.zeros(examples.width), np.zeros(examples.width), 0
    for matrix in examples.embeddings:
        exact = matrix.astype(np.float64)
        total += exact.sum(0)
        squares += np.square(exact).sum(0)
        count += len(exact)
    mean = total / count
    return mean.astype(np.float32), np.sqrt(np.maximum(squares / count - mean**2, 0)).astype(np.float32)


def _sentence(epoch: Epoch) -> str:
    text = f"training loss {epoch.training_loss:.4f}"
    if epoch.validation_loss is not None:
        text += f", validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.1%}"
    return text
