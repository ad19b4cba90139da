"""One layer of a transformer over a video's embeddings."""

import math

import torch
from torch import Tensor, nn

from training.heads.kinds.base import HeadKind, Shape, masked_mean

POSITIONS = 256
"""The most frames, or segments, that the server can be asked for."""
HEADS = 8
DROPOUT = 0.1


class Transformer(HeadKind):
    """Learned positions, one pre-norm encoder layer, the mean over the frames, a linear layer."""

    about = "learned positions, one transformer layer, the mean of the frames, one linear layer"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        # Waves to begin with, as high as embeddings: from zeros, the layer is slow to learn that order matters.
        self.positions = nn.Parameter(_waves(shape.width))
        self.layer = nn.TransformerEncoderLayer(
            shape.width,
            math.gcd(shape.width, HEADS),
            4 * shape.width,
            DROPOUT,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.norm = nn.LayerNorm(shape.width)
        self.output = nn.Linear(shape.width, shape.labels)

    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        x = embeddings + self.positions[: embeddings.shape[1]]
        x = self.norm(self.layer(x, src_key_padding_mask=None if mask is None else ~mask))
        return self.output(masked_mean(x if mask is None else x * mask[..., None], mask))


def _waves(width: int) -> Tensor:
    """(POSITIONS, width): sines and cosines of many wavelengths (Vaswani et al., 2017)."""
    angles = torch.arange(POSITIONS)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :width]
