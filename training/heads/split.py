"""Dividing labelled videos, so that each part has about the same share of every label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Indices of videos, ascending."""

    training: Indices
    """The weights are learned from these."""
    validation: Indices
    """The number of epochs is chosen with these; may be empty if there are few videos."""
    test: Indices
    """The figures come from these alone."""


def split(targets: NDArray[np.bool_], test_size: float, seed: int) -> Split:
    """Divide videos with `targets` (videos, labels), of which each label has two or more.

    Validation is as large as the test. Each label keeps a video to learn from; test has one of each label unless videos
    with several labels make that impossible.
    """
    rng = np.random.default_rng([seed, 0])
    test = hold_out(targets, test_size, rng, least=1)
    rest = np.flatnonzero(~test)
    held = hold_out(targets[rest], min(0.5, test_size / (1 - test_size)), rng, least=0)
    return Split(rest[~held], rest[held], np.flatnonzero(test))


def hold_out(targets: NDArray[np.bool_], share: float, rng: np.random.Generator, least: int) -> NDArray[np.bool_]:
    """(videos,) bool: videos to hold out, `share` of each label but at least `least`, and never all of a label.

    The rarest labels come first, as in iterative stratification (Sechidis, Tsoumakas and Vlahavas, 2011), because
    fewest videos can fill their share.
    """
    counts = targets.sum(0)
    wanted = np.clip(np.round(share * counts), least, counts - 1)
    taken = np.zeros(len(counts), int)
    held = np.zeros(len(targets), bool)
    for label in np.argsort(counts, kind="stable"):
        candidates = rng.permutation(np.flatnonzero(targets[:, label] & ~held))
        # Those first whose other labels are still wanted.
        excess = [int((targets[index] & (taken >= wanted)).sum()) for index in candidates]
        for index in candidates[np.argsort(excess, kind="stable")]:
            if taken[label] >= wanted[label]:
                break
            if (taken + targets[index] <= counts - 1)[targets[index]].all():
                held[index] = True
                taken += targets[index]
    return held
