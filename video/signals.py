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
    METRICS = "metrics"
    """Cheap measures of how the pixels change; only computed where they are named."""


OF_VIDEO_MOTION = (Signal.MOTION, Signal.CAMERA)
"""What the ensemble `video_motion` serves."""
ON_MOTION_CLIPS = frozenset({Signal.MOTION, Signal.SEGMENTS})
"""Need the motion clips."""
ON_CAMERA_CLIPS = frozenset({Signal.CAMERA, Signal.ACTIONS})
"""Need the camera clips."""
_KEYS = {Signal.FRAMES: "frames", Signal.ACTIONS: "actions", Signal.METRICS: "metrics"}
"""The key in `weights.json` of an optional signal: of its network, or of the names of the measures."""


def served_signals(manifest: Mapping[str, Any]) -> tuple[Signal, ...]:
    """What the ensemble `video_signals` serves, given the content of `weights.json`."""
    return tuple(signal for signal in Signal if _KEYS.get(signal, "motion") in manifest)


def without_a_choice(served: Collection[Signal]) -> tuple[Signal, ...]:
    """The signals of a request that names none: all that are served but for `metrics`.

    Measures are computed on the CPU, so that a GPU would not decode a request's video any more.
    """
    return tuple(signal for signal in served if signal != Signal.METRICS)


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
