"""What all kinds of heads have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of a head."""

    width: int
    """Values of an embedding."""
    labels: int
    multi_label: bool
    """Whether each label has a probability of its own; else all add up to 1."""


class HeadKind(nn.Module, ABC):
    """A classifier of videos by their embeddings, which are of frames or of segments."""

    about: str
    """What it does, for people who choose."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape.width))
        self.register_buffer("scale", torch.ones(shape.width))

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the mean and standard deviation (width,) of the embeddings; every kind sees them with mean 0 and 1."""
        # A value that hardly varies in training would be magnified without limit.
        least = 0.01 * deviation.mean().clamp(min=1e-6)
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation.clamp(min=least))

    def forward(self, embeddings: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (videos, labels) of float32 embeddings (videos, frames, width).

        `mask` (videos, frames) bool is False for frames that a video does not have, which come after all others; None
        means that there are none. `probabilities_of` turns logits into probabilities.
        """
        embeddings = (embeddings - self.mean) * self.scale
        if mask is not None:
            embeddings = embeddings * mask[..., None]
        return self.classify(embeddings, mask)

    @abstractmethod
    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        """`forward` with standardised embeddings, which are 0 where the mask is False."""

    @staticmethod
    def chosen(video: str, frames: int) -> slice:  # noqa: ARG004 - one kind looks at the name
        """Which of a video's frames this kind learns from."""
        return slice(0, frames)


def probabilities_of(logits: Tensor, *, multi_label: bool) -> Tensor:
    """Probabilities of logits (videos, labels): sigmoid or softmax."""
    return logits.sigmoid() if multi_label else logits.softmax(-1)


def masked_mean(embeddings: Tensor, mask: Tensor | None) -> Tensor:
    """(videos, width) the mean over the frames that a video has; the others must be 0."""
    if mask is None:
        return embeddings.mean(1)
    return embeddings.sum(1) / mask.sum(1, keepdim=True)
