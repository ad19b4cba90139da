"""The average of what a linear layer says of each frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.heads.kinds.base import HeadKind, Shape


class FrameAverage(HeadKind):
    """A linear layer on each frame; the probabilities are averaged over the frames."""

    about = "one linear layer on each frame, the probabilities averaged"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.output = nn.Linear(shape.width, shape.labels)

    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        each = self.output(embeddings)
        if not self.shape.multi_label:
            # The softmax of logarithms of probabilities are the probabilities.
            return _log_sum(functional.log_softmax(each, -1), mask)
        # The sigmoid of log p - log(1 - p) is p.
        return _log_sum(functional.logsigmoid(each), mask) - _log_sum(functional.logsigmoid(-each), mask)


def _log_sum(logarithms: Tensor, mask: Tensor | None) -> Tensor:
    """The logarithm of the sum over the frames: (videos, frames, labels) to (videos, labels).

    As good as that of the mean: neither softmax nor the difference of two of them depends on the number of frames.
    """
    if mask is not None:
        logarithms = logarithms.masked_fill(~mask[..., None], -torch.inf)
    return torch.logsumexp(logarithms, 1)
