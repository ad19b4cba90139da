"""What the camera does, one stage after the other."""

from collections.abc import Container, Iterable, Sequence

from ..intervals import LabelledClip

OPPOSITES = (
    ("arc_left", "arc_right"),
    ("dolly_in", "dolly_out"),
    ("pan_left", "pan_right"),
    ("pedestal_down", "pedestal_up"),
    ("roll_left", "roll_right"),
    ("tilt_down", "tilt_up"),
    ("truck_left", "truck_right"),
    ("zoom_in", "zoom_out"),
)
"""Labels that cannot both be true of a clip."""
NOT_MOVES = frozenset({"undefined", "pov"})
"""Labels that do not say what the camera does."""
_OPPOSITE = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}

Stage = tuple[str, ...]
"""The labels of simultaneous moves, most probable first in the stage's first clip."""


def stages_of(clips: Iterable[LabelledClip], known: Container[str] | None = None) -> list[Stage]:
    """The stages of a video: neighbouring clips with the same moves are one; clips without a move are left out.

    If labels are `known`, others are ignored.
    """
    stages: list[Stage] = []
    for clip in sorted(clips, key=lambda clip: clip.start_seconds):
        labels = [label for label in clip.labels if label not in NOT_MOVES]
        stage = _consistent([label for label in labels if known is None or label in known])
        if stage and not (stages and frozenset(stages[-1]) == frozenset(stage)):
            stages.append(stage)
    return stages


def _consistent(labels: Sequence[str]) -> Stage:
    """Without the less probable one of two opposites, and without `static` beside a move."""
    kept: list[str] = []
    for label in labels:
        if _OPPOSITE.get(label) not in kept:
            kept.append(label)
    if len(kept) > 1 and "static" in kept:
        kept.remove("static")
    return tuple(kept)
