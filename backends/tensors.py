"""What a network is: tensors in, tensors out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a network."""

    name: str
    """Its name in the ONNX file."""
    dtype: np.dtype
    """Its element type."""
    shape: tuple[int, ...]
    """Its shape, -1 where an axis is dynamic."""


class Network(ABC):
    """A network, loaded."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]

    @abstractmethod
    def run(self, inputs: Tensors) -> Tensors:
        """Every output for a set of inputs."""
