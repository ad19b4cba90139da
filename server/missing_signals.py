"""A sentence for requests of an output whose signal the parameter `signals` leaves out."""

import re

NEEDED_BY = {
    "MOTION_CLIPS": "motion or segments",
    "CAMERA_CLIPS": "camera",
    "ACTION_CLIPS": "actions",
    "FRAME_CLIPS": "frames",
}
"""For each input of a network, the signals that prepare it."""
_MISSING = re.compile(r"^in ensemble .* missing required input\(s\) \['(\w+)'\]")


def missing_signal(message: str) -> str | None:
    """What to say instead of Triton's message that a network of an ensemble has no input; None for another message."""
    found = _MISSING.match(message)
    if found is None or found[1] not in NEEDED_BY:
        return None
    return (
        f"a requested output needs a signal that signals does not name ({NEEDED_BY[found[1]]}): name it, or request "
        "only outputs of the signals that are named [invalid_parameter]"
    )
