"""Which camera moves a prompt asks for: those that it states for certain, and nothing else."""

from .sentences import asked_in
from .words import REPLACED, SENTENCE_END

KINDS = {
    "arc": ("arc_left", "arc_right"),
    "dolly": ("dolly_in", "dolly_out"),
    "pan": ("pan_left", "pan_right"),
    "pedestal": ("pedestal_up", "pedestal_down"),
    "roll": ("roll_left", "roll_right"),
    "tilt": ("tilt_up", "tilt_down"),
    "truck": ("truck_left", "truck_right"),
    "zoom": ("zoom_in", "zoom_out"),
    "static": ("static",),
    "shake": ("shake",),
    "track": ("track",),
}
"""A move without a direction, and the labels that each fulfil it."""
MOVES = {label: (label,) for labels in KINDS.values() for label in labels} | KINDS
"""What can be asked for, and the labels that fulfil it."""
_STANDING = frozenset(("static", "shake"))


def moves_in(prompt: str) -> tuple[str, ...]:
    """The moves that a prompt asks for, keys of `MOVES`, in the order of `MOVES`; empty if it asks for none.

    A move is asked for if the camera is the subject of its verb, or if it stands in a clause without a subject, as
    `slow zoom in` does. What somebody else does, what is denied, and what is one of two alternatives is not.
    `docs/judge.md` has the whole rule. `static` is never beside another move: a video in which the camera moves is not
    static throughout.
    """
    text = prompt.lower()
    for pattern, replacement in REPLACED:
        text = pattern.sub(replacement, text)
    found = {move for sentence in SENTENCE_END.split(text) for move in asked_in(sentence)}
    if found - _STANDING:
        found.discard("static")
    return tuple(move for move in MOVES if move in found and not _is_said_better(move, found))


def _is_said_better(move: str, found: set[str]) -> bool:
    """Whether a label of a kind is there, too: it says more."""
    return any(label != move and label in found for label in KINDS.get(move, ()))
