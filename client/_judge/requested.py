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
_DIRECTED = {
    "pan": (r"pan(?:s|ning|ned)?", {"left": "pan_left", "right": "pan_right"}),
    "tilt": (r"tilt(?:s|ing|ed)?", {"up": "tilt_up", "upwards?": "tilt_up", "down": "tilt_down"}),
    "zoom": (r"zoom(?:s|ing|ed)?", {"in": "zoom_in", "into": "zoom_in", "out": "zoom_out"}),
    "dolly": (r"(?:doll(?:y|ies|ying)|push(?:es|ing)?)", {"in": "dolly_in", "forwards?": "dolly_in"}),
    "dolly back": (r"(?:doll(?:y|ies|ying)|pull(?:s|ing)?)", {"out": "dolly_out", "backwards?|back": "dolly_out"}),
    "truck": (r"truck(?:s|ing)?", {"left": "truck_left", "right": "truck_right"}),
    "pedestal": (
        r"(?:pedestal(?:s|ing)?|crane(?:s|ing)?|boom(?:s|ing)?)",
        {"up": "pedestal_up", "upwards?": "pedestal_up", "down": "pedestal_down"},
    ),
    "roll": (
        r"(?:camera|shot|view) (?:roll(?:s|ing)?|rotat(?:es|ing))",
        {"counter-?clockwise": "roll_left", "left": "roll_left", "clockwise": "roll_right", "right": "roll_right"},
    ),
    "arc": (r"(?:arc(?:s|ing)?|orbit(?:s|ing)?)", {"left": "arc_left", "right": "arc_right"}),
}
"""A verb and its directions."""
_UNDIRECTED = {
    "arc": r"\b(?:camera|shot) (?:arcs|orbits|circles)\b|\b(?:orbit|arc) shot\b",
    "static": r"\b(?:static|fixed|locked[- ]off|still|stationary) (?:camera|shot)\b|\bcamera (?:is |stays |remains )?"
    r"(?:static|fixed|still|stationary)\b",
    "shake": r"\bhand[- ]?held\b|\bshak(?:y|ing) (?:camera|shot|effect)\b|\bcamera shakes?\b|\bshaking effect\b",
    "track": r"\btracking shot\b|\bcamera (?:follows|tracks)\b|\bfollow(?:ing)? shot\b",
    "pan": r"\bcamera pans\b|\bpanning shot\b",
    "zoom": r"\bcamera zooms\b|\bzoom shot\b",
    "tilt": r"\bcamera tilts\b|\btilt shot\b",
}
"""What names a move without a direction."""


def moves_in(prompt: str) -> tuple[str, ...]:
    """The moves that a prompt asks for, keys of `MOVES`, in the order of `MOVES`; empty if it asks for none."""
    text = prompt.lower()
    found = set()
    for verb, directions in _DIRECTED.values():
        for direction, label in directions.items():
            if re.search(rf"\b{verb}{_BETWEEN}(?:{direction})\b", text):
                found.add(label)
    for kind, pattern in _UNDIRECTED.items():
        if re.search(pattern, text) and not found & set(KINDS[kind]):
            found.add(kind)
    # `static` and `zoom_in` are labels and kinds: a label says more.
    return tuple(move for move in MOVES if move in found)
