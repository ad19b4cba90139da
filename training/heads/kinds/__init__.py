"""The kinds of heads, by the name that `--kind` takes."""

from training.heads.kinds.base import HeadKind, Shape, probabilities_of
from training.heads.kinds.frame_average import FrameAverage
from training.heads.kinds.linear import Linear
from training.heads.kinds.lstm import Lstm
from training.heads.kinds.random_frame import RandomFrame
from training.heads.kinds.transformer import Transformer

KINDS: dict[str, type[HeadKind]] = {
    "linear": Linear,
    "transformer": Transformer,
    "random_frame": RandomFrame,
    "frame_average": FrameAverage,
    "lstm": Lstm,
}

__all__ = ["KINDS", "HeadKind", "Shape", "probabilities_of"]
