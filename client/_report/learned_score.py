"""What a learned filter says, as one more score of the report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._tables.presets import Limit, Preset
from .._tables.table import Metadata

NAME = "learned"
"""Of the score, and of what drops the videos below its threshold."""
DEFAULT_AT = 0.5
"""The threshold of `filter --learned` without `--at`."""


@dataclass(frozen=True)
class LearnedScore:
    """A learned filter and its threshold."""

    path: Path
    """The filter's file."""
    at: float
    """Videos whose probability of yes is below are dropped."""
    probabilities: Callable[[pa.RecordBatch, Metadata], NDArray[np.float32]]
    """(rows,) float32 of a batch; NaN for rows without scores."""

    @property
    def preset(self) -> Preset:
        """What the page shows like a preset, although `filter` takes it as `--learned` and `--at`."""
        return Preset(NAME, "the filter that learned from answers does not want them", (Limit(NAME, "below", self.at),))
