"""Camera moves of a clip and their labels.

The labels and their meaning are those of the published classifier:

- pan, tilt, roll: the camera turns and stays where it is. `pan_left` turns left, so the picture moves right; `tilt_up`
  turns up, so the picture moves down; `roll_left` turns counter-clockwise, so the picture turns clockwise.
- zoom: the focal length changes, and everything is magnified equally.
- truck, pedestal, dolly: the camera moves sideways, up or down, forward or back; near things move more than far ones.
- arc: the camera moves around a subject that it keeps in view. `arc_left` moves left and turns right: nearer things
  move right, farther ones left.
- shake: the camera jerks back and forth.
- static: none of these. A tremor of the hand does not count.
- undefined: a move that starts, ends or changes during the clip. Such a clip has no other label.

A clip has the labels of all its simultaneous moves.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["pan", "tilt", "roll", "zoom", "truck", "pedestal", "dolly", "arc", "shake", "static", "undefined"]

DIRECTIONS: dict[str, tuple[str, str]] = {
    "pan": ("pan_left", "pan_right"),
    "tilt": ("tilt_down", "tilt_up"),
    "roll": ("roll_right", "roll_left"),
    "zoom": ("zoom_out", "zoom_in"),
    "truck": ("truck_left", "truck_right"),
    "pedestal": ("pedestal_down", "pedestal_up"),
    "dolly": ("dolly_out", "dolly_in"),
    "arc": ("arc_left", "arc_right"),
}
"""For each kind with a direction, the labels of a negative and of a positive speed."""
LABELS = (
    "arc_left", "arc_right", "dolly_in", "dolly_out", "pan_left", "pan_right", "pedestal_down", "pedestal_up",
    "roll_left", "roll_right", "static", "tilt_down", "tilt_up", "truck_left", "truck_right", "undefined",
    "zoom_in", "zoom_out", "shake",
)  # fmt: skip
"""In the published order, without `pov` and `track`, which describe the subject and cannot be rendered."""
PARALLAX = frozenset({"truck", "pedestal", "dolly", "arc"})
"""Kinds that are visible only if things are at different distances."""

SPEEDS: dict[str, tuple[float, float]] = {
    "pan": (0.04, 0.5),
    "tilt": (0.04, 0.5),
    "roll": (0.07, 0.8),
    "zoom": (0.06, 0.55),
    "truck": (0.06, 0.5),
    "pedestal": (0.06, 0.5),
    "dolly": (0.07, 0.45),
    "arc": (0.06, 0.5),
}
"""Lowest and highest speed of each kind, a second: fractions of the picture's width or height (of the nearest layer for
truck and pedestal, of the horizon for arc), radians for roll, the logarithm of the magnification for zoom and, of the
nearest layer, for dolly."""


@dataclass(frozen=True)
class Move:
    """One move of the camera."""

    kind: str
    """A key of `DIRECTIONS`."""
    speed: float
    """Signed, in the units of `SPEEDS`."""

    @property
    def label(self) -> str:
        """Its label if it lasts the whole clip."""
        return DIRECTIONS[self.kind][self.speed > 0]


@dataclass(frozen=True)
class Moves:
    """All moves of the camera during a clip."""

    lasting: tuple[Move, ...] = ()
    """Moves from the first frame to the last."""
    before: tuple[Move, ...] = ()
    """Moves until `change`, in a clip with the label `undefined`; `after` are those from then on."""
    after: tuple[Move, ...] = ()
    change: float = 0.5
    """The time of the change, as a fraction of the clip."""
    shake: float = 0.0
    """Amplitude of a shake, as a fraction of the picture's width."""
    tremor: float = 0.0
    """Amplitude of the hand's tremor, which is not a shake."""
    unsteadiness: float = 0.0
    """Relative amplitude of the speed's variation around its mean."""
    seed: int = field(default=0, compare=False)
    """Of the random curves of shake and tremor."""

    @property
    def all(self) -> tuple[Move, ...]:
        """Every move in the clip."""
        return self.lasting + self.before + self.after

    @property
    def labels(self) -> frozenset[str]:
        """Labels of the clip."""
        if self.before or self.after:
            return frozenset({"undefined"})
        labels = {move.label for move in self.lasting} | ({"shake"} if self.shake else set())
        return frozenset(labels or {"static"})

    @property
    def needs_depth(self) -> bool:
        """Whether the moves are visible only if things are at different distances."""
        return any(move.kind in PARALLAX for move in self.all)

    def progress(self, times: Floats) -> list[tuple[Move, Floats]]:
        """Each move with its progress (frames,) at `times`, from 0 to 1, to be multiplied by speed and duration.

        Progress is 0 in the middle of the clip (at `change` for `before` and `after`), so that a reversed clip shows
        the opposite moves.
        """
        swing = self.unsteadiness / (2 * np.pi)
        steady = times - 0.5 + swing * (np.cos(2 * np.pi * times) - 1)
        found = [(move, steady) for move in self.lasting]
        found += [(move, np.minimum(times, self.change) - self.change) for move in self.before]
        found += [(move, np.maximum(times, self.change) - self.change) for move in self.after]
        return found


COMBINATIONS = (
    ("pan", "tilt"), ("pan", "zoom"), ("tilt", "zoom"), ("pan", "roll"), ("zoom", "roll"), ("truck", "pedestal"),
    ("dolly", "tilt"), ("dolly", "pan"), ("dolly", "pedestal"), ("truck", "dolly"), ("truck", "roll"),
)  # fmt: skip


def draw_moves(rng: np.random.Generator, kind: Kind | None = None, seconds: float = 2.0) -> Moves:
    """Random moves of one kind, or of any; both directions of a kind are equally likely."""
    plain = Moves(
        tremor=float(rng.uniform(0.0003, 0.002)) if rng.random() < 0.35 else 0.0,
        unsteadiness=float(rng.uniform(-0.4, 0.4)) if rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**31)),
    )
    if kind is None:
        kinds = (*DIRECTIONS, "static", "shake", "undefined", "several")
        weights = np.array([1.0, 1.0, 0.8, 1.2, 1.2, 1.2, 1.3, 1.3, 0.9, 0.8, 1.0, 1.6])
        kind = rng.choice(kinds, p=weights / weights.sum())
    if kind == "static":
        return plain
    if kind == "shake":
        moves = (_move(rng, rng.choice(list(DIRECTIONS)), seconds),) if rng.random() < 0.3 else ()
        return replace(plain, lasting=moves, shake=float(np.exp(rng.uniform(np.log(0.008), np.log(0.04)))))
    if kind == "undefined":
        first, second = (_move(rng, each, seconds) for each in rng.choice(list(DIRECTIONS), 2, replace=False))
        # Slow moves that stop look almost like slow moves that do not.
        first, second = (Move(move.kind, _at_least(move, 2.0)) for move in (first, second))
        change = float(rng.uniform(0.3, 0.7))
        turned = Move(first.kind, -first.speed)
        before, after = [((first,), ()), ((), (first,)), ((first,), (turned,)), ((first,), (second,))][rng.integers(4)]
        return replace(plain, before=before, after=after, change=change)
    if kind == "several":
        pair = COMBINATIONS[rng.integers(len(COMBINATIONS))]
        return replace(plain, lasting=tuple(_move(rng, each, seconds, slowest=1.5) for each in pair))
    return replace(plain, lasting=(_move(rng, str(kind), seconds),))


def _move(rng: np.random.Generator, kind: str, seconds: float, slowest: float = 1.0) -> Move:
    low, high = SPEEDS[kind]
    # Long clips have slower moves, or the camera would leave the scene, but no move is below the lowest speed.
    high = max(high * min(1.0, 2.5 / seconds), 3 * low)
    speed = float(np.exp(rng.uniform(np.log(low * slowest), np.log(high))))
    return Move(kind, speed if rng.random() < 0.5 else -speed)


def _at_least(move: Move, times: float) -> float:
    return float(np.copysign(max(abs(move.speed), times * SPEEDS[move.kind][0]), move.speed))
