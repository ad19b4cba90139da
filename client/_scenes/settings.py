"""How scenes are found: what must stay the same in all runs that write one file."""

from dataclasses import asdict, dataclass
from typing import Any

THRESHOLDS = {"content": 27.0, "adaptive": 3.0, "threshold": 12.0, "hash": 0.35}
"""The detectors, with PySceneDetect's own thresholds."""
DEFAULT_DETECTORS = ("adaptive", "threshold")
"""One for cuts and one for fades."""
SHORTEST_SCENE_SECONDS = 0.6


@dataclass(frozen=True)
class Settings:
    """How scenes are found."""

    detectors: tuple[str, ...] = DEFAULT_DETECTORS
    """Of `THRESHOLDS`; a scene begins where any of them says so."""
    threshold: float | None = None
    """In place of the detector's own, if there is one detector."""
    shortest_seconds: float = SHORTEST_SCENE_SECONDS
    """A cut sooner after a scene's beginning, or before the end, is left out: a shorter shot joins what follows it."""
    downscale: int | None = None
    """Frames are made smaller by this factor; None: so that the longer side has 256 pixels at most."""
    frame_skip: int = 0
    """Frames that are left out after each one that is looked at."""

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self) | {"detectors": list(self.detectors)}

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Settings":
        """The settings in their JSON."""
        return cls(**content | {"detectors": tuple(content["detectors"])})
