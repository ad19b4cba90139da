"""Which signals a run asks for, and how it keeps embeddings."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .._sdk.result import Score, Weights
from .._sdk.signals import Asked, wanted_of
from ..errors import InvalidRequest

EmbeddingsType = Literal["float32", "float16"]
EMBEDDINGS = ("segments", "frames")
"""The signals that are embeddings."""


@dataclass(frozen=True)
class SignalOptions:
    """What a run asks for beside the parameters of its requests."""

    asked: Asked
    """The signals and heads."""
    embeddings: EmbeddingsType = "float32"
    """The type of embeddings in its output."""

    @property
    def has_embeddings(self) -> bool:
        """Whether the output has embeddings."""
        return any(name in self.asked.signals for name in EMBEDDINGS)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads, once they are settled."""
        assert self.asked.heads is not None
        return self.asked.heads

    def settled(self, weights: Weights, heads: tuple[str, ...] | None = None) -> "SignalOptions":
        """The same with heads by name: those asked for, else `heads`, else all that are served. Raises `NotServed`."""
        asked = self.asked if self.asked.heads is not None else replace(self.asked, heads=heads)
        return replace(self, asked=replace(asked, heads=wanted_of(asked, weights).heads))

    def arguments(self) -> dict[str, Any]:
        """Arguments of the client's `score`."""
        return {"signals": self.asked.signals, "heads": self.asked.heads}

    def kept(self, score: Score) -> Score:
        """The score with embeddings of this type. Raises `InvalidRequest` if float16 cannot hold them."""
        if self.embeddings == "float32":
            return score
        segments, frames = score.segments, score.frames
        if segments is not None:
            score = replace(score, segments=_halved(segments))
        if frames is not None:
            score = replace(score, frames=replace(frames, embeddings=_halved(frames.embeddings)))
        return score


def _halved(embeddings: Any) -> Any:
    largest = float(np.abs(embeddings).max())
    if largest > float(np.finfo(np.float16).max):
        raise InvalidRequest(
            f"float16 cannot hold its embeddings, whose largest value is {largest:g}: use --embeddings-dtype float32"
        )
    return embeddings.astype(np.float16)
