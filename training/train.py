"""The training loop, which resumes from its checkpoint."""

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
    camera_motion_loss,
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
from training.temporal_channels import restore_temporal_channels


@dataclass(frozen=True)
class Phase:
    """A phase of a training: how much of each clip it uses."""

    steps: int
    tubelets: int
    """Pairs of frames to use, of the eight of a clip."""
    batch: int
    """Clips a step."""
    places: int = ROWS * ROWS
    """Patches to use, the same in every pair of frames; fewer are faster and delay overfitting."""
    positive_weight: float = 1.0
    """Weight of true labels in the loss; a higher one makes the network report more labels."""
    rate: float = 1.0
    """The learning rate, as a fraction of `LEARNING_RATE`."""
    decays: bool = False
    """Whether the learning rate falls towards the end of the phase."""


@dataclass(frozen=True)
class TrainingConfig:
    """Phases and losses of a training."""

    phases: tuple[Phase, ...]
    weights: dict[str, float]
    """Weights of the losses, by name."""
    depth: int = DEPTH
    """Blocks of the encoder."""
    temporal_channels: bool = False
    """Whether the reserved channels are restored after every step."""
    relit: bool = False
    """Whether clips with constant light are relit at random."""

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of `step`, and the number of its remaining steps."""
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
        Phase(4500, 8, 16, decays=True),
        Phase(3300, 8, 16, positive_weight=3.0, decays=True),
    ),
    {"motion": 1.5, "camera_motion": 1.5, "light": 1.5, "amounts": 1.5, "labels": 0.5, "scores": 2.0},
)
"""Stage 1: both networks, which are one model."""
SCORES = TrainingConfig(
    (Phase(4800, 8, 16, decays=True),),
    {"motion": 1.5, "light": 3.0, "levels": 8.0, "amounts": 2.0, "scores": 4.0},
)
"""Stage 2: the motion network alone."""
TEMPORAL = TrainingConfig(
    (Phase(3400, 8, 16, places=25, rate=0.6, decays=True), Phase(300, 8, 16, rate=0.12, decays=True)),
    {"motion": 1.5, "light": 3.0, "levels": 8.0, "amounts": 2.0, "scores": 4.0, "ranks": 2.0},
    temporal_channels=True,
    relit=True,
)
"""Stage 3: the motion network with temporal channels and blur filters."""
FINE = TrainingConfig(
    (
        Phase(5000, 8, 16, places=25, rate=0.6, decays=True),
        Phase(400, 8, 16, rate=0.12, decays=True),
        Phase(900, 8, 16, places=25, rate=0.3, decays=True),
        Phase(4300, 8, 16, places=25, rate=0.6, decays=True),
        Phase(300, 8, 16, rate=0.12, decays=True),
        Phase(850, 8, 16, places=25, rate=0.35, decays=True),
    ),
    TEMPORAL.weights | {"fine": 1.0},
    depth=DEPTH + 1,
    temporal_channels=True,
    relit=True,
)
"""Stage 4: the motion network with another block, also on displacements of fractions of a pixel."""
LEARNING_RATE = 1e-3
WARMUP_STEPS = 300
DECAY_SHARE = 0.6
"""The last fraction of a phase, over which its learning rate falls."""
SEGMENT_SECONDS = 1.9
"""Duration of most segments, from the first frame to the last. A network cannot see the duration of a segment, so rates
are converted to this one."""
CHECKPOINT_SECONDS = 120.0
RELIT = 0.5
"""Probability that a clip with constant light is relit."""


class Clips:
    """Random batches of the samples of all rendered shards."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.shards: list[Shard] = []
        self._numbers: set[int] = set()
        self.refresh()

    def refresh(self) -> None:
        """Load shards that were rendered in the meantime."""
        for path in sorted(self._directory.glob("?????.npz")):
            if (number := int(path.stem)) not in self._numbers:
                self._numbers.add(number)
                self.shards.append(Shard.load(self._directory, number))

    def batch(
        self, rng: np.random.Generator, size: int, tubelets: np.ndarray, *, relit: bool = False
    ) -> tuple[Tensor, ...]:
        """`size` augmented samples: frames (size, 2 * tubelets, 112, 112, 3) uint8, motion, light, labels and rates."""
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
    """The data of one step."""

    tubelets: Tensor
    """(tubelets,) indices of its pairs of frames, of the eight of a clip."""
    segments: int
    """Clips that form one video for the scores."""
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
    """(clips, places) indices of the patches to use; None for all."""


class Training:
    """A model with its optimizers and their progress."""

    def __init__(
        self,
        clips: Clips,
        checkpoint: Path,
        seed: int,
        config: TrainingConfig = BOTH,
        learned: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Resume from `checkpoint` if it exists, else start from the weights `learned`, else from new weights."""
        self.clips, self._checkpoint, self._seed, self.config = clips, checkpoint, seed, config
        torch.manual_seed(seed)
        self.model = DemoModel(config.depth)
        hidden = [p for name, p in self.model.named_parameters() if "blocks." in name and p.dim() == 2]
        ids = set(map(id, hidden))
        others = [p for p in self.model.parameters() if id(p) not in ids]
        # Muon is meant for hidden matrices; the loss fell twice as much a step as with AdamW.
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
        """The learning rate as a fraction of `LEARNING_RATE`: rising at the start, falling if the phase decays."""
        phase, left = self.config.phase(self.step)
        decayed = 0.02 + left / (phase.steps * DECAY_SHARE) if phase.decays else 1.0
        return phase.rate * min(1.0, (self.step + 1) / WARMUP_STEPS, decayed)

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
        """Run one step; returns its losses by name."""
        batch = self._prepared.pop(self.step, None) or self._prepare(self.step)
        # Prepare the next batch in a thread: drawing samples is a quarter of the work.
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
            "camera_motion": lambda: camera_motion_loss(model, tokens, embeddings, motion),
            "light": lambda: light_loss(model, tokens, light, tubelets),
            "levels": lambda: level_loss(model, layers, light, tubelets),
            "amounts": lambda: amount_loss(model, tokens, motion, light, tubelets),
            "labels": lambda: label_loss(model.classifier(embeddings), labels, len(tubelets), phase.positive_weight),
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
            restore_temporal_channels(model)
        self.step += 1
        keep = min(0.998, self.step / (self.step + 100))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        return {name: float(value.detach()) for name, value in losses.items()}

    def save(self) -> None:
        """Write the checkpoint atomically: if the process is killed, the previous one stays."""
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
        """Train to the end, but at most `until` seconds; returns whether the training is complete."""
        begun = saved = reported = time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        while self.step < self.config.steps:
            for name, value in self.advance().items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            now = time.monotonic()
            if now - reported > 30:
                losses = ", ".join(f"{name} {value / count:.4f}" for name, value in sums.items())
                report(f"step {self.step} of {self.config.steps}, {(now - reported) / count:.2f} s each: {losses}")
                reported, sums, count = now, {}, 0
            if now - saved > CHECKPOINT_SECONDS or now - begun > until:
                self.save()
                saved = now
                self.clips.refresh()
            if now - begun > until:
                return False
        self.save()
        return True
