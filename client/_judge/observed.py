"""What the videos of a generator show, from a table of scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._tables.columns import check_motion
from .._tables.presets import COLUMNS, PRESETS
from .._tables.table import TableError, read_batches, read_metadata
from ..intervals import camera_intervals, label_seconds, table_clips
from .errors import JudgeError
from .prompts import Prompt
from .requested import KINDS, MOVES

LABELS = frozenset(label for labels in KINDS.values() for label in labels)
"""The labels that are moves: not shot types, and not `undefined`."""
NONE = "none"
"""What is observed of a video without a move."""


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


def read_observed(table: Path) -> tuple[dict[str, Observed], int]:
    """The scored videos of a table by their paths, and the number of failures. Raises `JudgeError`."""
    found: dict[str, Observed] = {}
    failed = 0
    try:
        metadata = read_metadata(table)
        check_motion(table, metadata)
        for batch in read_batches(table, metadata, signals=False):
            for row in batch.to_pylist():
                if row["error"] is not None or row["clips"] is None:
                    failed += 1
                else:
                    found[row["video"]] = _observed(row)
    except TableError as error:
        raise JudgeError(str(error)) from error
    if not found:
        raise JudgeError(f"{table} has no video with scores and camera moves")
    return found, failed


def match(prompts: Sequence[Prompt], observed: dict[str, Observed]) -> list[list[Observed]]:
    """For each prompt its videos: those that it names, or whose names are the prompt, or the prompt and a number.

    A number follows a hyphen, as VBench names its samples: `a dog runs-3.mp4`.
    """
    by_name: dict[str, list[Observed]] = {}
    for video, each in observed.items():
        path = Path(video)
        before, hyphen, number = path.stem.rpartition("-")
        names = {path.name, path.stem, *([before] if hyphen and number.isdecimal() else [])}
        for name in names | {video}:
            by_name.setdefault(name, []).append(each)
    return [by_name.get(prompt.video or prompt.text, []) for prompt in prompts]


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
