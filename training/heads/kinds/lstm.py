"""An LSTM over a video's embeddings."""

import torch
from torch import Tensor, nn

from training.heads.kinds.base import HeadKind, Shape

HIDDEN = 128


class Lstm(HeadKind):
    """An LSTM over the frames; a linear layer on its state after the last one."""

    about = "an LSTM over the frames, one linear layer on its last state"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.lstm = nn.LSTM(shape.width, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, shape.labels)

    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        states, _ = self.lstm(embeddings)
        if mask is None:
            return self.output(states[:, -1])
        last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, HIDDEN)
        return self.output(torch.gather(states, 1, last)[:, 0])
