"""Batches of labelled videos, plain or mixed."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.heads.examples import Examples
from training.heads.kinds import HeadKind


class Batch(NamedTuple):
    """Videos, padded to the longest one."""

    embeddings: Tensor
    """(videos, frames, width) float32."""
    mask: Tensor
    """(videos, frames) bool: which frames a video has."""
    targets: Tensor
    """(videos, labels) float32 from 0 to 1."""


class Videos:
    """Labelled videos with the frames that one kind of head learns from."""

    def __init__(self, examples: Examples, kind: type[HeadKind], padding: NDArray[np.float32]) -> None:
        """`padding` (width,) float32 takes the place of frames that a video does not have."""
        self._embeddings = [
            matrix[kind.chosen(video, len(matrix))]
            for video, matrix in zip(examples.videos, examples.embeddings, strict=True)
        ]
        self._targets = torch.from_numpy(examples.targets.astype(np.float32))
        self._padding = torch.from_numpy(padding)

    def __len__(self) -> int:
        return len(self._embeddings)

    def batch(self, indices: NDArray[np.int64], frames: int = 0) -> Batch:
        """Some videos, padded to at least `frames`."""
        matrices = [self._embeddings[index] for index in indices]
        frames = max(frames, *map(len, matrices))
        embeddings = self._padding.repeat(len(matrices), frames, 1)
        mask = torch.zeros(len(matrices), frames, dtype=torch.bool)
        for row, matrix in enumerate(matrices):
            embeddings[row, : len(matrix)] = torch.from_numpy(matrix)
            mask[row, : len(matrix)] = True
        return Batch(embeddings, mask, self._targets[torch.from_numpy(indices)])

    def in_order(self, size: int) -> Iterator[Batch]:
        """All videos, in order."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

    def shuffled(self, rng: np.random.Generator, size: int) -> Iterator[Batch]:
        """All videos once, in random order."""
        order = rng.permutation(len(self))
        for start in range(0, len(self), size):
            yield self.batch(order[start : start + size])

    def mixed(self, rng: np.random.Generator, size: int, alpha: float) -> Iterator[Batch]:
        """Two shuffled passes, mixed batch by batch with a lambda from Beta(alpha, alpha) (Zhang et al., 2018).

        lambda mixes embeddings and targets. A mixed video has the frames that either has.
        """
        first, second = rng.permutation(len(self)), rng.permutation(len(self))
        for start in range(0, len(self), size):
            share = float(rng.beta(alpha, alpha))
            one, other = (order[start : start + size] for order in (first, second))
            frames = max(len(self._embeddings[index]) for index in (*one, *other))
            yield mix(self.batch(one, frames), self.batch(other, frames), share)


def mix(one: Batch, other: Batch, share: float) -> Batch:
    """`share` of one batch and the rest of another of the same size."""
    return Batch(
        torch.lerp(other.embeddings, one.embeddings, share),
        one.mask | other.mask,
        torch.lerp(other.targets, one.targets, share),
    )
