"""Thresholds of a first pass, from videos that were looked at and fully scored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FirstPassError
from .proportion import wilson
from .thresholds import Thresholds

LEAST_MOVING = 50
"""Videos that move, in each half: with fewer, even no loss at all says little."""
SHARES = (1.0, 0.98, 0.95, 0.9)
"""Values that are tried for the thresholds of shares, the strictest first: it loses no video that counts as moving."""
AIM = 0.5
"""In the half that thresholds are chosen on, they may lose this share of what they may lose: others are new to them."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """Videos with full scores; the measures are NaN for those that cannot be looked at, which are never skipped."""

    videos: tuple[str, ...]
    measures: Floats
    """(videos, 3) `change`, `black_share` and `frozen_share`, as in `Look`."""
    moving: Flags
    """(videos,) whether it moves: by the full scores, which the preset `static` does not take."""

    def of(self, mask: Flags) -> "Examples":
        """Those in `mask`."""
        videos = tuple(video for video, is_in in zip(self.videos, mask.tolist(), strict=True) if is_in)
        return Examples(videos, self.measures[mask], self.moving[mask])

    @property
    def black(self) -> Flags:
        """(videos,) whether every picture is black."""
        return np.asarray(self.measures[:, 1] >= 1, np.bool_)

    @property
    def frozen(self) -> Flags:
        """(videos,) whether no picture differs from the first one."""
        return np.asarray(self.measures[:, 2] >= 1, np.bool_)

    @property
    def change(self) -> Floats:
        """(videos,) levels."""
        return self.measures[:, 0]

    def skipped(self, thresholds: Thresholds) -> Flags:
        """(videos,) which ones are skipped."""
        taken = np.zeros(len(self.videos), np.bool_)
        if thresholds.static_change is not None:
            taken |= self.change <= thresholds.static_change
        if thresholds.frozen_share is not None:
            taken |= self.measures[:, 2] >= thresholds.frozen_share
        if thresholds.black_share is not None:
            taken |= self.measures[:, 1] >= thresholds.black_share
        return taken


@dataclass(frozen=True)
class Figures:
    """What thresholds do to a set of videos."""

    videos: int
    moving: int
    """Videos whose full scores are above the cut-offs, but for those that are black or frozen throughout."""
    lost: int
    """Those of them that are skipped."""
    skipped: int
    """All that are skipped."""

    @property
    def recall(self) -> float:
        """The share of the moving videos that are not skipped; NaN without any."""
        return 1 - self.lost / self.moving if self.moving else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the recall."""
        return wilson(self.moving - self.lost, self.moving)

    @property
    def saving(self) -> float:
        """The share of all videos that are skipped."""
        return self.skipped / self.videos if self.videos else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return asdict(self) | {"recall": self.recall, "interval": list(self.interval), "saving": self.saving}


@dataclass(frozen=True)
class Calibration:
    """Thresholds, and what they do to the half that they were chosen on and to the other one."""

    thresholds: Thresholds
    chosen_on: Figures
    held_out: Figures
    black: int
    """Videos whose full scores are above the cut-offs, and every picture is black: they count as standing still."""
    frozen: int
    """The same of those in which nothing changes, and that are not black."""


def calibrate(examples: Examples, least_recall: float) -> Calibration:
    """Thresholds that keep at least this share of the moving videos, chosen on one half and judged on the other.

    Which half a video is in depends on its name below the folder that all share: not on where that is, and not on the
    order of the rows. Raises `FirstPassError` if there are too few videos, if nothing
    can be skipped, and if the held-out half loses more than it may. Networks find motion in noise: a video that is
    black or frozen throughout stands still, whatever its scores.
    """
    by_scores = examples.moving
    examples = replace(examples, moving=by_scores & ~examples.black & ~examples.frozen)
    in_first = np.array([_is_in_first(name) for name in _below_common_folder(examples.videos)], np.bool_)
    first, second = examples.of(in_first), examples.of(~in_first)
    least = min(int(half.moving.sum()) for half in (first, second))
    if least < LEAST_MOVING:
        raise FirstPassError(
            f"one half of the videos has {least} whose scores are above the cut-offs of static; it takes "
            f"{LEAST_MOVING} in each half (black and frozen ones do not count)"
        )
    thresholds = choose(first, int(AIM * (1 - least_recall) * first.moving.sum()))
    if thresholds is None:
        raise FirstPassError("nothing can be skipped: no video that stands still looks stiller than those that move")
    held_out = figures(second, thresholds)
    if held_out.lost > (1 - least_recall) * held_out.moving + 1e-9:
        raise FirstPassError(
            f"thresholds that keep {least_recall:.1%} of one half keep {held_out.recall:.1%} of the other one "
            f"({held_out.moving - held_out.lost} of {held_out.moving}): calibrate on more videos, or ask for less with "
            "--recall"
        )
    black, frozen = by_scores & examples.black, by_scores & examples.frozen & ~examples.black
    return Calibration(thresholds, figures(first, thresholds), held_out, int(black.sum()), int(frozen.sum()))


def choose(examples: Examples, most_lost: int) -> Thresholds | None:
    """The thresholds that skip most videos and lose at most so many moving ones; None if none skip any.

    Of those that skip as many, the strictest.
    """
    best: tuple[int, Thresholds] | None = None
    for black_share, frozen_share in product(SHARES, SHARES):
        thresholds = Thresholds(None, frozen_share, black_share)
        taken = examples.skipped(thresholds)
        left = most_lost - int((taken & examples.moving).sum())
        if left < 0:
            continue
        thresholds = replace(thresholds, static_change=_largest_change(examples.of(~taken), left))
        skipped = int(examples.skipped(thresholds).sum())
        if skipped and (best is None or skipped > best[0]):
            best = skipped, thresholds
    return None if best is None else best[1]


def figures(examples: Examples, thresholds: Thresholds) -> Figures:
    """What thresholds do to videos."""
    skipped = examples.skipped(thresholds)
    lost = int((skipped & examples.moving).sum())
    return Figures(len(examples.videos), int(examples.moving.sum()), lost, int(skipped.sum()))


def _largest_change(examples: Examples, most_lost: int) -> float | None:
    """The largest change of a video that stands still, below the moving one that would be one too many."""
    moving = np.sort(examples.change[examples.moving & np.isfinite(examples.change)])
    below = moving[most_lost] if len(moving) > most_lost else np.inf
    still = examples.change[~examples.moving & (examples.change < below)]
    return float(still.max()) if len(still) else None


def _below_common_folder(videos: Sequence[str]) -> list[str]:
    """The names without the folders that all have in common."""
    folders = [video.split("/")[:-1] for video in (min(videos), max(videos))] if videos else [[], []]
    shared = next((index for index, (a, b) in enumerate(zip(*folders, strict=False)) if a != b), min(map(len, folders)))
    return ["/".join(video.split("/")[shared:]) for video in videos]


def _is_in_first(name: str) -> bool:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=1).digest()[0] % 2 == 0
