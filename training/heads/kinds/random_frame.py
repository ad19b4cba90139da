"""One frame of a video, and one linear layer: the baseline that the others must exceed to be worth their frames."""

import hashlib

from torch import Tensor, nn

from training.heads.kinds.base import HeadKind, Shape


class RandomFrame(HeadKind):
    """A linear layer on one frame.

    Training and figures use frame `sha256(video) % frames`, always the same one of a video. The head itself, which sees
    embeddings and no name, takes the one in the middle.
    """

    about = "one frame, one linear layer"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.output = nn.Linear(shape.width, shape.labels)

    def classify(self, embeddings: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return self.output(embeddings[:, embeddings.shape[1] // 2])
        middle = (mask.sum(1) // 2)[:, None, None].expand(-1, 1, embeddings.shape[2])
        return self.output(embeddings.gather(1, middle)[:, 0])

    @staticmethod
    def chosen(video: str, frames: int) -> slice:
        """One frame; its number is the SHA-256 of the video's name, modulo the number of frames."""
        number = int.from_bytes(hashlib.sha256(video.encode()).digest(), "big") % frames
        return slice(number, number + 1)
