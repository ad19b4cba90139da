"""What a clip holds, once it is cut."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Times are timestamps of the video that the clip is from."""

    frames: int
    """Frames of video."""
    first_frame_seconds: float
    """The first frame: 0 in the clip."""
    duration_seconds: float
    """From the first frame to the end of the last one."""
    sound: bool
    """Whether the clip has sound."""
    earlier_seconds: float | None = None
    """Of a copy: how long before the part its keyframe is."""
    later_seconds: float | None = None
    """Of a copy: how long after the part's end its last frame ends, at least 0."""
