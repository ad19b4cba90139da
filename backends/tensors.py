"""The interface of a network: tensors in, tensors out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a network."""

    name: str
    """Its name in the ONNX file."""
    dtype: np.dtype
    """Its element type."""
    shape: tuple[int, ...]
    """Its shape; -1 for a dynamic axis."""


class Network(ABC):
    """A loaded network."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    at_once: int = 1
    """How many threads may run it at once."""

    @abstractmethod
    def run(self, inputs: Tensors) -> Tensors:
        """Compute every output; `inputs` has every input by name."""
