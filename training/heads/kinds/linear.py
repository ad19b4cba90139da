"""The mean of a video's embeddings, and one linear layer."""

from torch import Tensor, nn

from training.heads.kinds.base import HeadKind, Shape, masked_mean


class Linear(HeadKind):
    """Mean over the frames, then a linear layer."""

    about = "the mean of the frames, one linear layer"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.output = nn.Linear(shape.width, shape.labels)

    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(masked_mean(embeddings, mask))
