"""Where scenes begin: what PySceneDetect's detectors say, without flashes and without scenes that are too short."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from fractions import Fraction

from scenedetect.common import FrameTimecode, Timecode
from scenedetect.detector import SceneDetector
from scenedetect.detectors import AdaptiveDetector, ContentDetector, HashDetector, ThresholdDetector

from .flashes import Flashes
from .footage import SmallFrame
from .scene import Scene
from .settings import THRESHOLDS, Settings


class CutFinder:
    """Takes the frames of one video, one by one."""

    def __init__(self, settings: Settings, rate: Fraction, time_base: Fraction) -> None:
        """rate: frames per second of the video; time_base: seconds of a unit of `SmallFrame.pts`."""
        self._settings = settings
        self._rate = rate
        self._time_base = time_base
        self._detectors = [_detector(name, settings.threshold) for name in settings.detectors]
        self._flashes = Flashes(float(rate) / (settings.frame_skip + 1))
        self._times = array("d")
        self._waiting: set[int] = set()
        """Changes whose frames afterwards are still to come."""
        self._cuts: set[int] = set()
        self._last: FrameTimecode | None = None

    def add(self, frame: SmallFrame) -> None:
        """Look at a frame, later than those before it."""
        now = FrameTimecode(Timecode(frame.pts, self._time_base), self._rate)
        self._times.append(now.seconds)
        self._flashes.add(frame.picture)
        for detector in self._detectors:
            self._note(detector.process_frame(now, frame.picture))
        self._last = now
        latest = len(self._times) - 1
        self._settle(index for index in self._waiting if latest >= index + self._flashes.reach - 1)

    def scenes(self, end_seconds: float) -> list[Scene]:
        """The scenes of the whole video, which ends there; no frame follows."""
        if self._last is not None:
            for detector in self._detectors:
                self._note(detector.post_process(self._last))
        self._settle(self._waiting)
        shortest = self._settings.shortest_seconds
        starts = [0.0]
        for start in sorted(self._times[index] for index in self._cuts):
            # Times are sums of fractions: a scene of exactly the shortest length is long enough.
            if start - starts[-1] >= shortest - 1e-6 and end_seconds - start >= shortest - 1e-6:
                starts.append(start)
        ends = [*starts[1:], end_seconds]
        return [(round(start, 6), round(end, 6)) for start, end in zip(starts, ends, strict=True)]

    def _note(self, found: Iterable[FrameTimecode]) -> None:
        for cut in found:
            # A cut in the middle of a fade has the time of no frame.
            index = bisect_left(self._times, cut.seconds - 1e-9)
            if 0 < index < len(self._times):
                self._waiting.add(index)

    def _settle(self, indices: Iterable[int]) -> None:
        for index in [*indices]:
            self._waiting.discard(index)
            if not self._flashes.is_flash(index):
                self._cuts.add(index)


def _detector(name: str, threshold: float | None) -> SceneDetector:
    """A detector that says every change; short scenes are left out later, after flashes."""
    value = THRESHOLDS[name] if threshold is None else threshold
    if name == "content":
        return ContentDetector(threshold=value, min_scene_len=0)
    if name == "adaptive":
        # Hue and saturation hide cuts between grey pictures, and jump where a picture fades to black.
        return AdaptiveDetector(adaptive_threshold=value, min_scene_len=0, luma_only=True)
    if name == "threshold":
        return ThresholdDetector(threshold=value, min_scene_len=0)
    return HashDetector(threshold=value, min_scene_len=0)
