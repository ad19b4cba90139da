"""Training: clips in, a checkpoint that goes on where it stopped out."""

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.augmentation import augment, recolour, relight
from training.dataset import Shard
from training.losses import (
    TUBELETS,
    amount_loss,
    course_loss,
    fine_loss,
    label_loss,
    level_loss,
    light_loss,
    motion_loss,
    rank_loss,
    score_loss,
)
from training.network import DEPTH, ROWS, DemoModel, at_places
from training.start import start
from training.temporal_channels import keep_temporal_channels


@dataclass(frozen=True)
class Phase:
    """A part of a training: how much of each clip it looks at."""

    steps: int
    tubelets: int
    """Pairs of frames, of the eight of a clip."""
    batch: int
    """Clips a step."""
    places: int = ROWS * ROWS
    """Of a frame's patches, the same in every pair: fewer are faster, and are not learned by heart as soon."""
    missed: float = 1.0
    """What a label weighs that is there, against one that is not: more of them are reported."""
    rate: float = 1.0
    """The part of `LEARNING_RATE` that it starts with."""
    settles: bool = False
    """Whether the learning rate falls towards its end, and starts from its peak after it."""


@dataclass(frozen=True)
class TrainingConfig:
    """What a training is made of."""

    phases: tuple[Phase, ...]
    weights: dict[str, float]
    """What is minimised, and what each part of it weighs."""
    depth: int = DEPTH
    """Blocks of the encoder."""
    temporal_channels: bool = False
    """Whether channels are kept that tell when a token is."""
    relit: bool = False
    """Whether light is made to change where it does not."""

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> tuple[Phase, int]:
        """The one that `step` is in, and how many of its steps are left."""
        left = step
        for phase in self.phases:
            if left < phase.steps:
                return phase, phase.steps - left
            left -= phase.steps
        return self.phases[-1], 0


BOTH = TrainingConfig(
    (
        Phase(3000, 2, 64),
        Phase(1500, 4, 32),
        Phase(4500, 8, 16, settles=True),
        Phase(3300, 8, 16, missed=3.0, settles=True),
    ),
    {"motion": 1.5, "course": 1.5, "light": 1.5, "amounts": 1.5, "labels": 0.5, "scores": 2.0},
)
"""Of both networks, which are one until then."""
SCORES = TrainingConfig(
    (Phase(4800, 8, 16, settles=True),),
    {"motion": 1.5, "light": 3.0, "levels": 8.0, "amounts": 2.0, "scores": 4.0},
)
"""Of the motion network, which goes on alone."""
TEMPORAL = TrainingConfig(
    (Phase(3400, 8, 16, places=25, rate=0.6, settles=True), Phase(300, 8, 16, rate=0.12, settles=True)),
    {"motion": 1.5, "light": 3.0, "levels": 8.0, "amounts": 2.0, "scores": 4.0, "ranks": 2.0},
    temporal_channels=True,
    relit=True,
)
"""Of the motion network once more, with what `training.temporal_channels` and `training.blur_filters` add to it."""
FINE = TrainingConfig(
    (
        Phase(5000, 8, 16, places=25, rate=0.6, settles=True),
        Phase(400, 8, 16, rate=0.12, settles=True),
        Phase(900, 8, 16, places=25, rate=0.3, settles=True),
        Phase(4300, 8, 16, places=25, rate=0.6, settles=True),
        Phase(300, 8, 16, rate=0.12, settles=True),
        Phase(850, 8, 16, places=25, rate=0.35, settles=True),
    ),
    TEMPORAL.weights | {"fine": 1.0},
    depth=DEPTH + 1,
    temporal_channels=True,
    relit=True,
)
"""And once more, with another block, of what is displaced by parts of a pixel."""
LEARNING_RATE = 1e-3
WARMUP_STEPS = 300
SETTLING = 0.6
"""The part of a phase over which the learning rate falls."""
SEGMENT_SECONDS = 1.9
"""From the first frame to the last of most segments. How long one is cannot be seen: rates are learned as of these."""
CHECKPOINT_SECONDS = 120.0
RELIT = 0.5
"""How often a clip whose light does not change gets another that does."""


class Clips:
    """The samples of all shards that are there, drawn at random."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.shards: list[Shard] = []
        self._numbers: set[int] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that have been made meanwhile."""
        for path in sorted(self._directory.glob("?????.npz")):
            if (number := int(path.stem)) not in self._numbers:
                self._numbers.add(number)
                self.shards.append(Shard.load(self._directory, number))

    def batch(
        self, rng: np.random.Generator, size: int, tubelets: np.ndarray, *, relit: bool = False
    ) -> tuple[Tensor, ...]:
        """Frames (size, 2 * tubelets, 112, 112, 3) uint8, motion, light, labels and rates of `size` samples."""
        frames, motion, light, labels, rates = [], [], [], [], []
        wanted = (2 * tubelets[:, None] + np.arange(2)).ravel()
        for _ in range(size):
            shard = self.shards[rng.integers(len(self.shards))]
            index = rng.integers(len(shard.frames))
            picture, lit, rate = shard.frames[index], shard.light[index], shard.rates[index]
            if relit and rng.random() < RELIT:
                picture, lit, rate = relight(rng, picture, lit, rate, shard.seconds[index], shard.spans[index])
            moving = shard.motion[index].astype(np.float32)
            video, moved, lit, called = augment(rng, picture, moving, lit, shard.labels[index])
            frames.append(torch.from_numpy(np.ascontiguousarray(video[wanted])))
            motion.append(np.ascontiguousarray(moved[tubelets]))
            light.append(np.ascontiguousarray(lit))
            labels.append(called)
            rates.append(rate * shard.seconds[index] / SEGMENT_SECONDS)
        return (
            torch.stack(frames),
            torch.from_numpy(np.stack(motion)),
            torch.from_numpy(np.stack(light)),
            torch.from_numpy(np.stack(labels)).float(),
            torch.from_numpy(np.stack(rates)),
        )


class Batch(NamedTuple):
    """What one step learns from."""

    tubelets: Tensor
    """(tubelets,) which of a clip's eight pairs of frames it has."""
    segments: int
    """Clips that make up a video, for the scores."""
    video: Tensor
    """(clips, 2 * tubelets, 112, 112, 3) float32 from 0 to 255."""
    motion: Tensor
    """(clips, tubelets, 7, 7, 4)."""
    light: Tensor
    """(clips, 15, 5)."""
    labels: Tensor
    """(clips, labels)."""
    rates: Tensor
    """(clips, 3)."""
    places: Tensor | None
    """(clips, places) the patches that are looked at, if not all."""


class Training:
    """A model with its optimizer, and how far they have come."""

    def __init__(
        self,
        clips: Clips,
        checkpoint: Path,
        seed: int,
        config: TrainingConfig = BOTH,
        learned: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Go on from `checkpoint`, or where it is not there from what was `learned` before, or from nothing."""
        self.clips, self._checkpoint, self._seed, self.config = clips, checkpoint, seed, config
        torch.manual_seed(seed)
        self.model = DemoModel(config.depth)
        hidden = [p for name, p in self.model.named_parameters() if "blocks." in name and p.dim() == 2]
        ids = set(map(id, hidden))
        others = [p for p in self.model.parameters() if id(p) not in ids]
        # Muon for what it is made for, the matrices inside; it learned twice as much a step as AdamW.
        self.optimizers = (
            torch.optim.Muon(hidden, lr=2 * LEARNING_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01),
        )
        self._peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.step = 0
        self._preparing = ThreadPoolExecutor(1)
        self._prepared: dict[int, Future[Batch]] = {}
        if checkpoint.is_file():
            saved = torch.load(checkpoint, weights_only=True)
            self.model.load_state_dict(saved["model"])
            for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.average, self.step = saved["average"], saved["step"]
            return
        if learned:
            self.model.load_state_dict(learned)
        else:
            rng = np.random.default_rng(seed)
            frames = clips.batch(rng, 16, np.arange(TUBELETS))[0]
            start(self.model, frames.float())
        self.average = {name: value.clone() for name, value in self.model.state_dict().items()}

    def rate(self) -> float:
        """The learning rate as a part of `LEARNING_RATE`: up over the first steps, down where a phase settles."""
        phase, left = self.config.phase(self.step)
        settled = 0.02 + left / (phase.steps * SETTLING) if phase.settles else 1.0
        return phase.rate * min(1.0, (self.step + 1) / WARMUP_STEPS, settled)

    def _prepare(self, step: int) -> "Future[Batch]":
        return self._preparing.submit(self._draw, step)

    def _draw(self, step: int) -> "Batch":
        phase, _ = self.config.phase(step)
        rng = np.random.default_rng([self._seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        tubelets = np.sort(rng.choice(TUBELETS, phase.tubelets, replace=False))
        frames, motion, light, labels, rates = self.clips.batch(rng, phase.batch, tubelets, relit=self.config.relit)
        video = frames.float()
        recolour(generator, video)
        segments = int(rng.choice([1, 1, 1, 2, 3]))
        places = None
        if phase.places < ROWS * ROWS:
            drawn = rng.permuted(np.tile(np.arange(ROWS * ROWS), (phase.batch, 1)), axis=1)
            places = torch.from_numpy(np.sort(drawn[:, : phase.places], axis=1))
            motion = at_places(motion.flatten(2, 3), places)
        return Batch(torch.from_numpy(tubelets), segments, video, motion, light, labels, rates, places)

    def advance(self) -> dict[str, float]:
        """One step; the losses."""
        batch = self._prepared.pop(self.step, None) or self._prepare(self.step)
        # The next one meanwhile: drawing samples is a quarter of the work.
        self._prepared = {self.step + 1: self._prepare(self.step + 1)}
        tubelets, segments, video, motion, light, labels, rates, places = batch.result()
        for optimizer, peak in zip(self.optimizers, self._peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * self.rate()
            optimizer.zero_grad(set_to_none=True)
        phase, _ = self.config.phase(self.step)
        model = self.model
        layers = model.layers(video, tubelets, places)
        tokens = layers[-1]
        embeddings = model.embeddings(tokens)
        parts = {
            "motion": lambda: motion_loss(model, tokens, motion),
            "fine": lambda: fine_loss(model, layers, motion),
            "course": lambda: course_loss(model, tokens, embeddings, motion),
            "light": lambda: light_loss(model, tokens, light, tubelets),
            "levels": lambda: level_loss(model, layers, light, tubelets),
            "amounts": lambda: amount_loss(model, tokens, motion, light, tubelets),
            "labels": lambda: label_loss(model.classifier(embeddings), labels, len(tubelets), phase.missed),
            "scores": lambda: score_loss(model, embeddings, rates, segments),
            "ranks": lambda: rank_loss(model, embeddings, rates, segments),
        }
        losses = {name: parts[name]() for name in self.config.weights}
        loss = torch.stack([self.config.weights[name] * value for name, value in losses.items()]).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        if self.config.temporal_channels:
            keep_temporal_channels(model)
        self.step += 1
        keep = min(0.998, self.step / (self.step + 100))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        return {name: float(value.detach()) for name, value in losses.items()}

    def save(self) -> None:
        """Write the checkpoint; a kill meanwhile leaves the one before."""
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "average": self.average,
                "step": self.step,
            },
            partial,
        )
        partial.rename(self._checkpoint)

    def run(self, report: Callable[[str], None], until: float = math.inf) -> bool:
        """Train to the end, or for `until` seconds; whether it is done."""
        begun = saved = told = time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        while self.step < self.config.steps:
            for name, value in self.advance().items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            now = time.monotonic()
            if now - told > 30:
                losses = ", ".join(f"{name} {value / count:.4f}" for name, value in sums.items())
                report(f"step {self.step} of {self.config.steps}, {(now - told) / count:.2f} s each: {losses}")
                told, sums, count = now, {}, 0
            if now - saved > CHECKPOINT_SECONDS or now - begun > until:
                self.save()
                saved = now
                self.clips.refresh()
            if now - begun > until:
                return False
        self.save()
        return True
