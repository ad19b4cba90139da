"""What the times of a part of a video count from: the video's first frame, or the zero of its timestamps."""

from collections.abc import Mapping

from .._inputs.item import Item
from .._tables.journal import Journal

ORIGIN = "from_first_frame"
"""The request parameter, 1 in a run whose parts count from the first frame."""
PART = ("start_seconds", "end_seconds")
FIRST_FRAME = "from the first frame"
TIMESTAMPS = "timestamps"
OLDER = (
    "the table was begun by an older version, in which the times of parts are timestamps: this run keeps that, as with "
    "--timestamps"
)


def item_parameters(parameters: Mapping[str, float], item: Item) -> dict[str, float]:
    """The request parameters of one video: those of the run and of its part; `ORIGIN` only if it has a part."""
    merged = {**parameters, **item.part}
    if not merged.keys() & set(PART):
        merged.pop(ORIGIN, None)
    return merged


def times_of(parameters: Mapping[str, float]) -> str:
    """What a run's times count from, in words."""
    return FIRST_FRAME if parameters.get(ORIGIN) else TIMESTAMPS


def begun_with_timestamps(journal: Journal) -> bool:
    """Whether the journal has parts from before this was a choice; their times are timestamps."""
    terms = journal.terms
    if terms is None or terms.times is not None:
        return False
    return bool(terms.parameters.keys() & set(PART)) or journal.has_parts()
