"""What the videos of a generator show, from a table of scores."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np

from .._tables.columns import check_camera, check_motion
from .._tables.presets import COLUMNS, PRESETS
from .._tables.row import NO_SCORES, SKIPPED_BY
from .._tables.table import Metadata, TableError, read_batches, read_metadata
from ..intervals import camera_intervals, label_seconds, table_clips
from .errors import JudgeError
from .prompts import Prompt
from .requested import KINDS, MOVES

LABELS = frozenset(label for labels in KINDS.values() for label in labels)
"""The labels that are moves: not shot types, and not `undefined`."""
NONE = "none"
"""What is observed of a video without a move."""
T = TypeVar("T")


@dataclass(frozen=True)
class Observed:
    """A video."""

    video: str
    """Its path, as in the table."""
    labels: frozenset[str]
    """The moves of any clip."""
    always: frozenset[str]
    """The moves of every clip."""
    longest: str
    """The move with the most seconds; `none` if there is none."""
    scores: dict[str, float]
    """`camera`, `object` and `dynamics`."""
    is_static: bool
    """Whether the preset `static` takes it."""

    def fulfils(self, move: str) -> bool:
        """Whether it shows a requested move (a key of `MOVES`): in any clip, and if it is static, in every clip."""
        shown = self.always if move == "static" else self.labels
        return not shown.isdisjoint(MOVES[move])


@dataclass(frozen=True)
class Scored:
    """What a table says of a generator."""

    videos: dict[str, Observed]
    """The scored videos by their paths."""
    failed: dict[str, str]
    """The others, and why they have no scores."""
    left_out: int
    """Rows of videos that are not in the folder any more."""
    metadata: Metadata
    """Weights, labels and parameters."""


def read_observed(table: Path, only: Container[str] | None = None) -> Scored:
    """The videos of a table; `only` are those that count, if given. Raises `JudgeError`."""
    found: dict[str, Observed] = {}
    failed: dict[str, str] = {}
    left_out = 0
    try:
        metadata = read_metadata(table)
        check_motion(table, metadata)
        check_camera(table, metadata)
        for batch in read_batches(table, metadata, signals=False):
            for row in batch.to_pylist():
                if only is not None and row["video"] not in only:
                    left_out += 1
                elif row["error"] is not None or row["clips"] is None:
                    failed[row["video"]] = _reason(row)
                else:
                    found[row["video"]] = _observed(row)
    except TableError as error:
        raise JudgeError(str(error)) from error
    if not found:
        raise JudgeError(f"{table} has no video with scores and camera moves")
    return Scored(found, failed, left_out, metadata)


def match(prompts: Sequence[Prompt], videos: Mapping[str, T]) -> list[list[T]]:
    """For each prompt its videos: those that it names, or whose names are the prompt, or the prompt and a number.

    A number follows a hyphen, as VBench names its samples: `a dog runs-3.mp4`. Each video is one prompt's at most: a
    name that is a prompt's own counts before one with a number.
    """
    of_prompts: dict[str, list[T]] = {prompt.named: [] for prompt in prompts}
    for video, each in videos.items():
        name = next((name for name in _names(video) if name in of_prompts), None)
        if name is not None:
            of_prompts[name].append(each)
    return [of_prompts[prompt.named] for prompt in prompts]


def _names(video: str) -> Iterator[str]:
    """What a prompt may call a video, the most definite first."""
    yield video
    path = PurePath(video)
    for count in range(len(path.parts), 0, -1):
        yield "/".join(path.parts[-count:])
    yield path.stem
    before, hyphen, number = path.stem.rpartition("-")
    if hyphen and number.isdecimal():
        yield before


def _reason(row: dict) -> str:
    if row["error"] is not None:
        return str(row["error"])
    return f"a first pass skipped it: {row[SKIPPED_BY]}" if row[SKIPPED_BY] else NO_SCORES


def _observed(row: dict) -> Observed:
    clips = table_clips(row["clips"])
    seconds = {label: s for label, s in label_seconds(camera_intervals(clips)).items() if label in LABELS}
    each = [LABELS.intersection(clip.labels) for clip in clips]
    scores = {name: float(row[column]) for name, column in COLUMNS.items()}
    arrays = {name: np.array([value], np.float32) for name, value in scores.items()}
    return Observed(
        video=row["video"],
        labels=frozenset().union(*each),
        always=frozenset.intersection(*map(frozenset, each)) if each else frozenset(),
        longest=next(iter(seconds), NONE),
        scores=scores,
        is_static=bool(PRESETS["static"].takes(arrays)[0]),
    )
