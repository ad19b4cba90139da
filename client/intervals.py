"""Camera moves over time: neighbouring clips with the same label become one interval."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "NEIGHBOUR_SECONDS",
    "CameraInterval",
    "LabelledClip",
    "TableClip",
    "camera_intervals",
    "label_seconds",
    "table_clips",
]

NEIGHBOUR_SECONDS = 0.001
"""Clips with a gap of at most this many seconds are neighbours: their times are float32."""


class LabelledClip(Protocol):
    """What `camera_intervals` needs of a clip; `CameraClip` and `TableClip` have it."""

    @property
    def start_seconds(self) -> float:
        """Start of the clip in seconds."""

    @property
    def end_seconds(self) -> float:
        """End of the clip in seconds."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the clip."""


@dataclass(frozen=True)
class TableClip:
    """A clip from a table of scores."""

    start_seconds: float
    """Start of the clip in seconds."""
    end_seconds: float
    """End of the clip in seconds."""
    labels: Sequence[str]
    """Labels of the clip."""


@dataclass(frozen=True)
class CameraInterval:
    """A span of time in which every clip has the same label."""

    label: str
    """The label."""
    start_seconds: float
    """Start of the first clip."""
    end_seconds: float
    """End of the last clip."""

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.end_seconds - self.start_seconds

    def __str__(self) -> str:
        return f"{self.label} {self.start_seconds:.1f}-{self.end_seconds:.1f} s"


def camera_intervals(clips: Iterable[LabelledClip]) -> list[CameraInterval]:
    """Merge neighbouring clips with the same label, in order of start time, then of the labels within a clip.

    Clips that overlap or touch are neighbours; clips with a gap between them, as `max_clips` can leave, are not.
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
    """Total seconds of each label, longest first."""
    seconds: dict[str, float] = {}
    for interval in intervals:
        seconds[interval.label] = seconds.get(interval.label, 0.0) + interval.duration_seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def table_clips(clips: Iterable[dict] | None) -> list[TableClip]:
    """The value of a table's column `clips` as `TableClip` objects; an empty list for None."""
    return [
        TableClip(round(clip["start_seconds"], 6), round(clip["end_seconds"], 6), clip["labels"])
        for clip in clips or ()
    ]
