"""What a camera does during a clip, and what that is called.

The labels are the published classifier's, and so is their meaning:

- pan, tilt, roll: the camera turns and stays where it is. `pan_left` turns left, so the picture moves right; `tilt_up`
  turns up, so the picture moves down; `roll_left` turns counter-clockwise, so the picture turns clockwise.
- zoom: the focal length changes, and everything is magnified alike.
- truck, pedestal, dolly: the camera moves sideways, up or down, forward or back; near things move more than far ones.
- arc: the camera moves round something that it keeps in view. `arc_left` moves left and turns right: what is nearer
  than the subject moves right, what is farther moves left.
- shake: the camera is jolted to and fro.
- static: none of these. A tremor of the hand too small to be called a shake does not count.
- undefined: a move that does not last the whole clip: it begins, ends, or becomes another on the way. No other label.

Moves that go on together are all labels of the clip.
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
"""Of each kind with a direction, the label of a negative and of a positive speed."""
LABELS = (
    "arc_left", "arc_right", "dolly_in", "dolly_out", "pan_left", "pan_right", "pedestal_down", "pedestal_up",
    "roll_left", "roll_right", "static", "tilt_down", "tilt_up", "truck_left", "truck_right", "undefined",
    "zoom_in", "zoom_out", "shake",
)  # fmt: skip
"""The published order; `pov` and `track`, which say what is filmed rather than how, cannot be rendered."""
PARALLAX = frozenset({"truck", "pedestal", "dolly", "arc"})
"""Kinds that are what they are only where something is nearer than something else."""

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
"""Slowest and fastest: the part of the picture's width or height that something passes in a second (for truck and
pedestal the nearest layer, for arc the horizon), radians a second for roll, the logarithm of the magnification in a
second for zoom and, for the nearest layer, dolly."""


@dataclass(frozen=True)
class Move:
    """One thing that the camera does."""

    kind: str
    """A key of `DIRECTIONS`."""
    speed: float
    """Signed, in the units of `SPEEDS`."""

    @property
    def label(self) -> str:
        """What it is called where it lasts."""
        return DIRECTIONS[self.kind][self.speed > 0]


@dataclass(frozen=True)
class Moves:
    """All that the camera does during a clip."""

    lasting: tuple[Move, ...] = ()
    """What goes on from the first frame to the last."""
    before: tuple[Move, ...] = ()
    """Of a clip without a label of its own, what goes on until `change`; `after` from then on."""
    after: tuple[Move, ...] = ()
    change: float = 0.5
    """When, as a part of the clip."""
    shake: float = 0.0
    """Strength of jolts, in the part of the picture's width that they are wide."""
    tremor: float = 0.0
    """The same of the hand's tremor, which is no shake."""
    unsteadiness: float = 0.0
    """By what part the speed swings about its mean."""
    seed: int = field(default=0, compare=False)
    """Of the jolts."""

    @property
    def all(self) -> tuple[Move, ...]:
        """Every move that occurs."""
        return self.lasting + self.before + self.after

    @property
    def labels(self) -> frozenset[str]:
        """What the clip is labelled."""
        if self.before or self.after:
            return frozenset({"undefined"})
        labels = {move.label for move in self.lasting} | ({"shake"} if self.shake else set())
        return frozenset(labels or {"static"})

    @property
    def needs_depth(self) -> bool:
        """Whether it takes things at several distances to see what moves."""
        return any(move.kind in PARALLAX for move in self.all)

    def progress(self, times: Floats) -> list[tuple[Move, Floats]]:
        """Each move with how far it has come at `times` (0 to 1 is the clip), in seconds of its own speed.

        A clip lasts one unit here; distances are counted from its middle, so that a clip played backwards is one of
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
    """Moves of one kind, or of any; labels with a direction are equally likely both ways."""
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
        # Slow moves that stop are hardly to be told from slow moves that do not.
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
    # A long clip has slower moves, or it would leave the scene; but none slower than what is called a move at all.
    high = max(high * min(1.0, 2.5 / seconds), 3 * low)
    speed = float(np.exp(rng.uniform(np.log(low * slowest), np.log(high))))
    return Move(kind, speed if rng.random() < 0.5 else -speed)


def _at_least(move: Move, times: float) -> float:
    return float(np.copysign(max(abs(move.speed), times * SPEEDS[move.kind][0]), move.speed))
