"""What a watch tells: the answer for each clip, and counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._sdk.result import CameraClip, Weights
from .networks import Action


@dataclass(frozen=True)
class WatchedClip(CameraClip):
    """The answer for one clip of a source."""

    actions: tuple[Action, ...] | None
    """The five most probable actions, most probable first; None if the server has no action classifier."""
    weights: Weights
    """The weights that the server used."""
    answered_at: datetime
    """When the answer came, in UTC."""
    latency_seconds: float
    """From the clip's last frame to the answer."""
    behind_seconds: float
    """How much video this machine still had to decode when the clip was complete."""
    frames_dropped: int
    """Frames so far that this machine had no time for."""
    clips_skipped: int
    """Clips so far that were not sent, because the server had not answered the one before, or frames were missing."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the documentation, without the source."""
        return {
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "labels": self.labels,
            "probabilities": self.probabilities,
            "actions": None if self.actions is None else [vars(action) for action in self.actions],
            "time": self.answered_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "latency_seconds": round(self.latency_seconds, 3),
            "behind_seconds": round(self.behind_seconds, 3),
            "frames_dropped": self.frames_dropped,
            "clips_skipped": self.clips_skipped,
            "weights": {"camera": self.weights.camera, "precision": self.weights.precision},
        }


@dataclass
class Counts:
    """What has happened so far."""

    clips: int = 0
    """Clips that were answered."""
    clips_skipped: int = 0
    """Clips that were not sent, because the server had not answered the one before, or all their frames are missing."""
    clips_failed: int = 0
    """Clips for which the server had an error."""
    frames: int = 0
    """Frames that were decoded."""
    frames_dropped: int = 0
    """Frames that this machine had no time for."""
    frames_damaged: int = 0
    """Frames that arrived damaged; those that cannot be decoded are left out."""
    reconnections: int = 0
    """How often the source was opened again."""
    seconds: float = 0.0
    """How much video was watched, from the first decoded frame on."""
