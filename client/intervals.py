"""Camera moves over time: neighbouring clips with the same label, merged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

NEIGHBOUR_SECONDS = 0.001
"""Clips this near to each other touch: their times are float32."""


class LabelledClip(Protocol):
    """What a `CameraClip` has."""

    @property
    def start_seconds(self) -> float:
        """Where the clip starts."""

    @property
    def end_seconds(self) -> float:
        """Where it ends."""

    @property
    def labels(self) -> Sequence[str]:
        """Its labels."""


@dataclass(frozen=True)
class TableClip:
    """A clip out of a table of scores."""

    start_seconds: float
    """Where the clip starts."""
    end_seconds: float
    """Where it ends."""
    labels: Sequence[str]
    """Its labels."""


@dataclass(frozen=True)
class CameraInterval:
    """A time in which every clip has a label."""

    label: str
    """The label."""
    start_seconds: float
    """Where the first of the clips starts."""
    end_seconds: float
    """Where the last one ends."""

    @property
    def duration_seconds(self) -> float:
        """From start to end."""
        return self.end_seconds - self.start_seconds

    def __str__(self) -> str:
        return f"{self.label} {self.start_seconds:.1f}-{self.end_seconds:.1f} s"


def camera_intervals(clips: Iterable[LabelledClip]) -> list[CameraInterval]:
    """Merge neighbouring clips with the same label; intervals in order of their start, then of their clip's labels.

    Clips that overlap or touch are neighbours; where clips are missing in between, as with `max_clips`, they are not.
    """
    intervals: list[CameraInterval] = []
    latest: dict[str, int] = {}
    for clip in sorted(clips, key=lambda clip: clip.start_seconds):
        for label in clip.labels:
            index = latest.get(label)
            if index is not None and clip.start_seconds <= intervals[index].end_seconds + NEIGHBOUR_SECONDS:
                merged = intervals[index]
                end_seconds = max(merged.end_seconds, clip.end_seconds)
                intervals[index] = CameraInterval(label, merged.start_seconds, end_seconds)
            else:
                latest[label] = len(intervals)
                intervals.append(CameraInterval(label, clip.start_seconds, clip.end_seconds))
    return intervals


def label_seconds(intervals: Iterable[CameraInterval]) -> dict[str, float]:
    """How long each label holds in all, longest first."""
    seconds: dict[str, float] = {}
    for interval in intervals:
        seconds[interval.label] = seconds.get(interval.label, 0.0) + interval.duration_seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def table_clips(clips: Iterable[dict] | None) -> list[TableClip]:
    """The clips of a row of a table of scores, as Python objects."""
    return [
        TableClip(round(clip["start_seconds"], 6), round(clip["end_seconds"], 6), clip["labels"])
        for clip in clips or ()
    ]
