"""Which camera moves a prompt asks for: a table of words, and nothing that it does not state."""

import re

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
_BETWEEN = r"(?:\s+(?:\w+ly|to|the|towards?|a|bit|camera|shot|view))*\s+"
_LEFT = r"left|from (?:the )?right to (?:the )?left"
_RIGHT = r"right|from (?:the )?left to (?:the )?right"
_UP, _DOWN, _FORWARD, _BACK = "up(?:wards?)?", "down(?:wards?)?", "in|forwards?", "out|back(?:wards?)?"
_MOVES = r"(?:mov(?:e|es|ing)|slid(?:e|es|ing)|glid(?:e|es|ing)|travel(?:s|l?ing)?)"
_DIRECTED = {
    "pan": (r"pan(?:s|ning|ned)?", {_LEFT: "pan_left", _RIGHT: "pan_right"}),
    "tilt": (r"tilt(?:s|ing|ed)?", {_UP: "tilt_up", _DOWN: "tilt_down"}),
    "zoom": (r"zoom(?:s|ing|ed)?", {"in": "zoom_in", "into": "zoom_in", "out": "zoom_out"}),
    "dolly": (r"(?:doll(?:y|ies|ying)|push(?:es|ing)?)", {_FORWARD: "dolly_in"}),
    "dolly back": (r"(?:doll(?:y|ies|ying)|pull(?:s|ing)?)", {_BACK: "dolly_out"}),
    "truck": (r"truck(?:s|ing)?", {_LEFT: "truck_left", _RIGHT: "truck_right"}),
    "pedestal": (
        r"(?:pedestal(?:s|ing)?|crane(?:s|ing)?|boom(?:s|ing)?)",
        {_UP: "pedestal_up", _DOWN: "pedestal_down"},
    ),
    "move": (
        rf"camera\s+(?:\w+ly\s+)*{_MOVES}",
        {
            _LEFT: "truck_left",
            _RIGHT: "truck_right",
            _UP: "pedestal_up",
            _DOWN: "pedestal_down",
            "forwards?": "dolly_in",
            "back(?:wards?)?": "dolly_out",
        },
    ),
    "roll": (
        r"(?:camera|shot|view) (?:roll(?:s|ing)?|rotat(?:es|ing))",
        {"counter-?clockwise": "roll_left", "left": "roll_left", "clockwise": "roll_right", "right": "roll_right"},
    ),
    "arc": (r"(?:arc(?:s|ing)?|orbit(?:s|ing)?)", {_LEFT: "arc_left", _RIGHT: "arc_right"}),
}
"""A verb and its directions, as the camera sees them: `docs/labels.md`."""
_STILL = r"(?:static|fixed|locked[- ](?:off|down)|still|stationary|motionless)"
_UNDIRECTED = {
    "arc": r"\b(?:camera|shot) (?:arcs|orbits|circles)\b|\b(?:orbit|arc) shot\b",
    "static": rf"\b{_STILL} (?:tripod )?(?:camera|shot)\b|\bcamera (?:is |stays |remains |holds )?{_STILL}\b"
    r"|\bcamera (?:does not|doesn't|never) move\b|\bno camera (?:movement|motion|moves?)\b"
    r"|\bwithout (?:any )?camera (?:movement|motion)\b|\btripod shot\b",
    "shake": r"\bhand[- ]?held\b|\bshak(?:y|ing) (?:camera|shot|effect)\b|\bcamera shakes?\b|\bshaking effect\b",
    "track": r"\btracking shot\b|\bcamera (?:follows|tracks)\b|\bfollow(?:ing)? shot\b",
    "pan": r"\bcamera pans\b|\bpanning shot\b",
    "zoom": r"\bcamera zooms\b|\bzoom shot\b",
    "tilt": r"\bcamera tilts\b|\btilt shot\b",
}
"""What names a move without a direction."""
_CAMERA = frozenset(("camera", "shot", "view", "viewpoint", "perspective", "lens", "footage"))
_OWNERS = frozenset(("his", "her", "their", "my", "your", "with a", "holds a", "holding a"))
"""What stands before a camera that somebody in the picture has."""
_CONNECTORS = frozenset((",", "and", "then", "while", "also", "before", "after", "followed", "by", "with"))
_PRONOUNS = frozenset(("he", "she", "they", "who", "someone", "somebody", "i"))
_OTHERS = frozenset(("it", "people", "men", "women", "children"))
_ARTICLES = frozenset(("a", "an", "the", "his", "her", "their", "its", "this", "that", "two", "three", "some"))


def moves_in(prompt: str) -> tuple[str, ...]:
    """The moves that a prompt asks for, keys of `MOVES`, in the order of `MOVES`; empty if it asks for none.

    What somebody or something else than the camera does is none: "she zooms in on the map".
    """
    text = prompt.lower().replace("\u2019", "'")
    found = set()
    for verb, directions in _DIRECTED.values():
        for direction, label in directions.items():
            if any(
                _is_the_cameras(text[: match.start()], match[1])
                for match in re.finditer(rf"\b({verb}){_BETWEEN}(?:{direction})\b", text)
            ):
                found.add(label)
    for kind, pattern in _UNDIRECTED.items():
        if found.isdisjoint(KINDS[kind]) and any(not _is_owned(text[: m.start()]) for m in re.finditer(pattern, text)):
            found.add(kind)
    # `static` and `zoom_in` are labels and kinds: a label says more.
    return tuple(move for move in MOVES if move in found)


def _is_the_cameras(before: str, verb: str) -> bool:
    """Whether a verb is the camera's: what stands `before` it has the camera as its subject, or no subject."""
    if verb.split()[0] in _CAMERA:
        return not _is_owned(before)
    sentence = re.split(r"[.!?;:]", before)[-1]
    words = re.findall(r"[\w'-]+|,", sentence)
    joined = False
    while words and (words[-1] in _CONNECTORS or words[-1].endswith("ly")):
        joined |= words.pop() in _CONNECTORS
    last = max((index for index in range(len(words)) if _is_camera(words, index)), default=None)
    rest = words if last is None else words[last + 1 :]
    if not rest:
        return True
    if rest[-1] in _PRONOUNS or (rest[-1] in _OTHERS and not joined):
        return False
    if last is None:
        # "a slow pan left" and "a dog, zooming in" ask for it; "a man zooms in" and "tourists zoom in" do not.
        is_noun = not verb.endswith(("s", "ing")) and rest[-1] != "to" and not rest[-1].endswith("s")
        return _PRONOUNS.isdisjoint(rest) and (joined or is_noun)
    return joined or (rest[0] == "of" and verb.endswith("ing")) or _ARTICLES.isdisjoint(rest[-3:-1])


def _is_camera(words: list[str], index: int) -> bool:
    return words[index] in _CAMERA and not _is_owned(" ".join(words[max(0, index - 2) : index]))


def _is_owned(before: str) -> bool:
    """Whether the words before say that a camera is one that somebody in the video has."""
    words = before.split()[-2:]
    return not _OWNERS.isdisjoint((*words[-1:], " ".join(words)))
