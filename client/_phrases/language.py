"""What a language has to say about motion."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Templates and words; the parts in braces are filled in."""

    moves: Mapping[str, tuple[str, str]]
    """For each camera label, the verb and what follows it; labels that are missing are not mentioned in sentences."""
    camera: str
    """A clause with the `{stages}` of the camera, in order of time."""
    then: str
    """What a further `{stage}` is joined with."""
    also: str
    """A further stage with moves that go on and the new moves, its `{stage}`."""
    only: str
    """A further stage in which some moves end: its `{stage}` are those that go on."""
    many: str
    """A clause for more stages than a reader follows: its `{stages}` are all moves, each once."""
    pauses: str
    """A clause for as many stages with one `{move}` only, and pauses."""
    point_of_view: str
    """A clause for the label `pov`."""
    subject: Mapping[str, str]
    """A clause for each strength of the subject's movement: `none`, `low`, `medium`, `high`."""
    changes: str
    """A clause for strong changes that are not movement."""
    and_word: str
    """Joins the last two of several moves."""
    clause_separator: str
    """Joins clauses."""
    camera_motion: str
    """The short form's `{labels}`."""
    motion_strength: str
    """The short form's `{strength}`."""

    def listed(self, words: list[str]) -> str:
        """Several words as a list: `a`, `a and b`, `a, b and c`."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])} {self.and_word} {words[-1]}"
