"""The words by which a prompt asks for camera moves. All texts are in lower case."""

import re
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AFTER_RIGHT = r"(?!\s+(?:after|before|behind|now|away|there|here|next|in front)\b)"
_LEFT = r"left|from (?:the )?right to (?:the )?left"
_RIGHT = rf"right{_AFTER_RIGHT}|from (?:the )?left to (?:the )?right"
_UP, _DOWN, _IN, _OUT = (
    "up(?:wards?)?",
    "down(?:wards?)?",
    "in(?:to|wards?)?|forwards?",
    "out(?:wards?)?|back(?:wards?)?",
)
_FILLERS = (
    r"(?:[\s-]+(?:\w+ly(?:\s+and(?=\s+\w+ly\b))?|to|the|towards?|a|bit|camera|shot|view|all|way|back|around|straight"
    r"|\d+(?:°| degrees)))*[\s-]+"
)
"""What may stand between a verb and its direction."""


@dataclass(frozen=True)
class Verb:
    """A verb of a camera move, and the noun that looks like it."""

    pattern: str
    """All its forms, as a regular expression."""
    kind: str | None
    """The move that it is without a direction; None if it is none."""
    directions: dict[str, str] = field(default_factory=dict)
    """The moves, by regular expressions of the directions."""
    is_cameras_alone: bool = False
    """Whether it says a camera move only with a camera as its subject: much else moves and rolls."""
    is_thing: bool = False
    """Whether its noun is also a thing: `a pan left on the stove` is no move, `a slow pan left` is."""
    is_vehicle: bool = False
    """Whether a slow one is a thing, too: `a slow truck right behind`."""

    @property
    def matches(self) -> str:
        """A regular expression of the verb, its direction if there is one, and a noun that makes it a shot."""
        direction = f"(?:{_FILLERS}(?P<direction>{'|'.join(self.directions)})\\b)?" if self.directions else ""
        return rf"\b(?P<verb>{self.pattern})\b{direction}(?P<shot>[\s-]+(?:shot|movement|motion|move|effect)\b)?"

    def move(self, direction: str) -> str:
        """The move in a direction, as a prompt says it."""
        return next(move for pattern, move in self.directions.items() if re.fullmatch(pattern, direction))


_SIDES = {"left": _LEFT, "right": _RIGHT}


def _sides(name: str) -> dict[str, str]:
    return {pattern: f"{name}_{side}" for side, pattern in _SIDES.items()}


_HEIGHTS = {_UP: "pedestal_up", _DOWN: "pedestal_down"}
VERBS = (
    Verb(r"dolly[\s-]+zoom(?:s|ing)?", None),
    Verb(r"pan(?:s|ning|ned)?", "pan", {**_sides("pan"), _UP: "tilt_up", _DOWN: "tilt_down"}, is_thing=True),
    Verb(r"tilt(?:s|ing|ed)?", "tilt", {_UP: "tilt_up", _DOWN: "tilt_down"}),
    Verb(r"zoom(?:s|ing|ed)?", "zoom", {"in(?:to|wards?)?": "zoom_in", "out(?:wards?)?": "zoom_out"}),
    Verb(r"doll(?:y|ies|ying|ied)", "dolly", {_IN: "dolly_in", _OUT: "dolly_out"}, is_thing=True),
    Verb(r"push(?:es|ing|ed)?", None, {_IN: "dolly_in"}),
    Verb(r"pull(?:s|ing|ed)?", None, {_OUT: "dolly_out"}),
    Verb(r"truck(?:s|ing|ed)?", "truck", _sides("truck"), is_thing=True, is_vehicle=True),
    Verb(r"(?:pedestal|crane|boom)(?:s|d|ing|ed)?|craning", None, _HEIGHTS, is_thing=True),
    Verb(
        r"mov(?:es?|ing|ed)|slid(?:es?|ing)|glid(?:es?|ing|ed)|travel(?:s|l?ing|l?ed)?|drift(?:s|ing|ed)?|fl(?:y|ies|ying)",
        None,
        {**_sides("truck"), **_HEIGHTS, "forwards?": "dolly_in", "back(?:wards?)?": "dolly_out"},
        is_cameras_alone=True,
    ),
    Verb(
        r"roll(?:s|ing|ed)?|rotat(?:es?|ing|ed)",
        None,
        {
            "counter-?clockwise|anti-?clockwise|left": "roll_left",
            f"clockwise|right{_AFTER_RIGHT}": "roll_right",
        },
        is_cameras_alone=True,
    ),
    Verb(r"(?:arc|orbit)(?:s|ing|ed)?", "arc", _sides("arc")),
    Verb(r"circl(?:es?|ing|ed)|revolv(?:es?|ing|ed)", "arc", _sides("arc"), is_cameras_alone=True),
    Verb(r"follow(?:s|ing|ed)?", "track", is_cameras_alone=True),
    Verb(r"track(?:s|ing|ed)?", "track", _sides("truck"), is_cameras_alone=True),
    Verb(r"shak(?:es?|ing)|shook|trembl(?:es?|ing)", "shake", is_cameras_alone=True),
)
"""Verbs and their directions, as the camera sees them: `docs/labels.md`."""
SHOTS = frozenset(("pan", "tilt", "zoom", "dolly", "arc", "track"))
"""Kinds of moves that may name a shot: `panning shot`."""
NOUNS = frozenset(("pan", "zoom", "dolly"))
"""Kinds that a noun asks for without a direction if it is said how fast: `slow pan across the city`."""
RIGGING = frozenset(("dolly", "truck", "track"))
"""Kinds whose nouns are things beside a camera: `camera dolly`."""
MORE = r"\s*,?\s*(?P<joint>and then|and|then|or|&)\s+(?:then\s+|back\s+|to the\s+)*(?P<direction>{directions})\b"
"""A further direction of the same verb: `zoom in and out`."""

_STILL = r"(?:static|fixed(?! to\b)|locked(?:[- ](?:off|down))?|still(?!\s+\w+ing\b)|stationary|motionless|unmoving)"
_SIZES = (
    r"(?:(?:wide|wide-angle|medium|long|close|close-up|full|aerial|overhead|establishing|tripod|high-angle|low-angle)"
    r"\s+)*"
)
_STAYS = r"(?:\w+ly )?(?:(?:is|stays|remains|holds|keeps|stands) )?(?:\w+ly )?"
_DIRECTION_FOLLOWS = r"(?!\s+(?:to\b|left|right|up|down|in\b|out\b|forward|back))"
PHRASES = {
    "static": (
        r"\b(?:static|fixed|locked(?:[- ](?:off|down))?|stationary|motionless)\s+"
        rf"{_SIZES}(?:camera|shot|view|frame|framing)\b"
        rf"|\bstill (?:camera|shot)\b|\bcamera {_STAYS}{_STILL}\b"
        rf"|\bcamera (?:(?:is|does|will) not|isn't|doesn't|won't|never) mov(?:e|es|ing)\b{_DIRECTION_FOLLOWS}"
        r"|\b(?:no|without(?: any)?) (?:camera (?:movement|motion|moves?)\b|(?:movement|motion) of the camera\b"
        r"|moving the camera\b)|\btripod shot\b"
    ),
    "shake": r"\bhand[- ]?held\b|\bsha(?:ky|king) (?:camera|shot|footage|effect)\b",
}
"""Moves that are said without a verb."""
CLAUSE_OF_PHRASE = r",|\b(?:but|then|while|except|besides|as|when|until)\b"
"""What ends a denial before a phrase."""
CAMERA = _words("camera shot view viewpoint perspective lens footage frame video scene we")
"""What stands for the camera as the subject of a verb."""
OWNERS = _words(
    "his her their my your security surveillance toy filming shooting recording holding watching taking adjusting"
) | {"with a", "holds a", "holding a"}
"""What stands before a camera or footage of somebody in the picture."""
ABSOLUTE = frozenset((("with", "the"), ("with",)))
"""What makes a camera the subject of a participle: `with the camera panning left`."""
ARTICLES = frozenset(("a", "an", "the", "one"))
PACES = _words(
    "slow quick fast rapid swift smooth gentle subtle steady dramatic sudden slight gradual brief continuous "
    "sweeping whip"
)
"""Adjectives that say how a camera moves."""
AUXILIARIES = _words(
    "is are was will should must to then also now still just almost very first finally next start starts starting "
    "begin begins beginning continue continues keep keeps does do makes performs"
)
"""What may stand between a subject and its verb."""
INTRODUCING = frozenset(("with", "in", "via", "using", "by"))
"""Prepositions after which a move begins a clause of its own: `a lake with a slow zoom in`."""
NEUTRAL = _words(
    "with in by as via using use add apply make perform include there please slow-motion handheld static cinematic "
    "aerial drone realistic photorealistic timelapse hyperlapse close-up hd 4k 8k"
)
"""Words without a subject of their own that may stand before a move."""
NEGATIONS = _words(
    "no not never without avoid avoids avoiding instead rather neither nor cannot stop stops stopped may might could "
    "can if like hardly barely"
)
"""With one of these before it in its clause, a move is not asked for, or not for certain."""
PREPOSITIONS = _words("at into to on onto toward towards behind of for from through near")
PRONOUNS = _words("he she they it i you someone somebody people who that which where whose")
JOINTS = _words(", and & then while whilst as when until before after but or nor once followed except besides")
"""What begins a clause."""
ADJECTIVES = ("ous", "ss", "this")
"""Endings of words in s before a camera that are no verbs of somebody else: `a continuous shot`."""
RESETS = frozenset(("but", "then", "except", "besides", "while", "whilst"))
"""Of these, those after which a denial has ended."""
REPLACED = (
    (re.compile("[\u2018\u2019]"), "'"),
    (re.compile(r"\s*[\u2013\u2014]\s*|\s-+\s"), " , "),
    (re.compile(r"\b(?:apart|aside) from\b|\bother than\b|\bexcept for\b"), "except"),
    (re.compile(r"\bfollowed by\b"), "followed"),
    (re.compile(r"(?<!no )(?<!any )(?<!without )\bcamera(?: movement| motion| move)?\s*[:=]\s*"), "camera "),
)
"""What is said otherwise before a prompt is read."""
SENTENCE_END = re.compile(r"\.+(?=\s|$)|[!?;:\n\[\]()|\"]+")
