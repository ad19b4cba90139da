"""What a request may ask of a video, and which frames that takes."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from video.errors import InvalidParameter


class Signal(StrEnum):
    """A name in the parameter `signals`."""

    MOTION = "motion"
    """Motion scores and the embedding of the video."""
    CAMERA = "camera"
    """Probabilities of the camera labels."""
    SEGMENTS = "segments"
    """Embeddings of the motion network's segments."""
    FRAMES = "frames"
    """Embeddings of frames."""
    ACTIONS = "actions"
    """Probabilities of actions."""


OF_VIDEO_MOTION = (Signal.MOTION, Signal.CAMERA)
"""What the ensemble `video_motion` serves."""
ON_MOTION_CLIPS = frozenset({Signal.MOTION, Signal.SEGMENTS})
"""Need the motion clips."""
ON_CAMERA_CLIPS = frozenset({Signal.CAMERA, Signal.ACTIONS})
"""Need the camera clips."""
_NETWORKS = {Signal.FRAMES: "frames", Signal.ACTIONS: "actions"}
"""The key in `weights.json` of the network behind an optional signal."""


def served_signals(manifest: Mapping[str, Any]) -> tuple[Signal, ...]:
    """What the ensemble `video_signals` serves, given the content of `weights.json`."""
    return tuple(signal for signal in Signal if _NETWORKS.get(signal, "motion") in manifest)


def asked_signals(value: object, served: Collection[Signal]) -> tuple[Signal, ...]:
    """The signals that the parameter `signals` names, in a fixed order; text, with commas between names.

    Raises `InvalidParameter` for another type, no name, and a name that is not in `served`.
    """
    allowed = f"it must be names out of {', '.join(served)}, with commas between them"
    if not isinstance(value, str):
        raise InvalidParameter(f"signals is {str(value)[:40]!r}, {allowed}")
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in served:
            raise InvalidParameter(f"signals names {name[:40]!r}, {allowed}")
    return tuple(signal for signal in served if signal in names)
