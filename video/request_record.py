"""What became of one request, for the metrics and the log."""

from collections import Counter
from dataclasses import dataclass, field

from video.clips import CLIP_FRAMES
from video.errors import Outcome, Reason
from video.isolation import End


@dataclass
class Record:
    """One request, as the model that answered it saw it; what is None was not learned."""

    model: str
    """The model that answered."""
    request_id: str
    """What the caller calls the request; empty where it has no name."""
    reason: Reason | None = None
    """Why there was no answer; None where there was."""
    error: str | None = None
    """The same as the caller was told."""
    seconds: float = 0.0
    """From when the model began with it to when the answer was made."""
    video_bytes: int | None = None
    """Size of the encoded video; None where the request had none, or none was looked at."""
    frames_wanted: int | None = None
    """Frames that the clips are made of, each once."""
    frames_decoded: int | None = None
    """Frames that were decoded to have those."""
    motion_clips: int | None = None
    """Clips for the motion scores."""
    camera_clips: int | None = None
    """Clips for the camera labels."""
    restarts: Counter[End] = field(default_factory=Counter)
    """How often a process that reads videos had to be started anew for it, by what had ended the one before."""

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return Outcome.OK if self.reason is None else self.reason.outcome

    def fail(self, reason: Reason, error: str) -> None:
        """Note that it had no answer."""
        self.reason, self.error = reason, error

    def count_wanted(self, frames: int, motion_places: int, camera_places: int) -> None:
        """Note how many frames are wanted, and for how many places in clips of each kind."""
        self.frames_wanted = frames
        self.motion_clips, self.camera_clips = motion_places // CLIP_FRAMES, camera_places // CLIP_FRAMES
