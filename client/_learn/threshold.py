"""The best rule of one feature and one cut-off: what a learned filter has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Threshold:
    """Keep the videos whose feature is above a cut-off, or those where it is not."""

    feature: int
    """Which feature, counted from 0."""
    cutoff: float
    """A value above it is kept, or dropped."""
    keeps_above: bool
    """Whether values above are kept."""

    def keeps(self, features: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(rows,) bool for (rows, features); a missing value counts as not above."""
        return (features[:, self.feature] > self.cutoff) == self.keeps_above


def best_threshold(features: NDArray[np.float32], keep: NDArray[np.bool_]) -> Threshold:
    """The most accurate rule on (rows, features) and (rows,) answers."""
    best, most = Threshold(0, np.inf, keeps_above=not keep.mean() > 0.5), -1
    for feature in range(features.shape[1]):
        values = np.nan_to_num(features[:, feature], nan=-np.inf)
        order = np.argsort(values, kind="stable")
        values, answers = values[order], keep[order]
        # After the i-th smallest value: how many answers of no are below or at it, and how many of yes above.
        right = np.cumsum(~answers) + (answers.sum() - np.cumsum(answers))
        last_of_equal = np.append(values[1:] != values[:-1], True)
        for above, counts in ((True, right), (False, len(keep) - right)):
            index = int(np.argmax(np.where(last_of_equal, counts, -1)))
            if counts[index] > most:
                upper = values[index + 1] if index + 1 < len(values) else np.inf
                cutoff = values[index] if not np.isfinite(upper + values[index]) else (values[index] + upper) / 2
                best, most = Threshold(feature, float(cutoff), above), int(counts[index])
    return best
