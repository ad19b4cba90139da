"""The videos of a table, with their scores and what a first pass sees of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from .._remote.addresses import is_remote
from .._shards.names import shard_of
from .._tables.columns import is_failed, is_skipped, scores_of
from .._tables.found import find_video
from .._tables.presets import COLUMNS, PRESETS
from .._tables.row import FIRST_PASS_COLUMNS, PART_COLUMNS
from .._tables.table import Metadata, read_batches, table_schema
from .calibration import Examples
from .errors import FirstPassError
from .first_pass import MEASURE
from .part import Part

Measured = tuple[float, float, float]
"""The values of `FIRST_PASS_COLUMNS`."""
UNSEEN: Measured = (np.nan, np.nan, np.nan)


def collect(
    table: Path, metadata: Metadata, look: Callable[[str, Part], Measured], jobs: int
) -> tuple[Examples, int, int]:
    """The scored rows of a table, how many of them were looked at now, and how many of those could not be.

    look: looks at a file whose measures the table lacks; `jobs` threads call it. Raises `TableError`, and
    `FirstPassError` if a first pass skipped videos of the table.
    """
    has_measures = set(FIRST_PASS_COLUMNS) <= set(table_schema(table, metadata).names)
    wanted = [
        "video",
        "skipped_by",
        "error",
        *PART_COLUMNS,
        *COLUMNS.values(),
        *(FIRST_PASS_COLUMNS if has_measures else ()),
    ]
    videos: list[str] = []
    moving: list[NDArray[np.bool_]] = []
    measured: list[Measured | None] = []
    places: list[tuple[str, Part]] = []
    for batch in read_batches(table, metadata, columns=wanted):
        if count := int(is_skipped(batch).sum()):
            raise FirstPassError(
                f"{table} has {counted(count, 'video')} that a first pass skipped, or more: calibration needs "
                f"the scores of all (score --first-pass {MEASURE})"
            )
        scores = scores_of(batch)
        scored = ~is_failed(batch, scores)
        moving.append(~PRESETS["static"].takes(scores)[scored])
        for row, is_scored in zip(batch.to_pylist(), scored.tolist(), strict=True):
            if is_scored:
                videos.append(row["video"])
                measured.append(_measured(row) if has_measures else None)
                places.append((row["video"], _part(row)))
    missing = [index for index, each in enumerate(measured) if each is None]
    with ThreadPoolExecutor(jobs) as threads:

        def look_again(index: int) -> Measured | None:
            video, part = places[index]
            path = find_video(video, table)
            return None if path is None else look(str(path), part)

        for index, seen in zip(missing, threads.map(look_again, missing), strict=True):
            if seen is None:
                if is_remote(places[index][0]) or shard_of(places[index][0]) is not None:
                    raise FirstPassError(
                        f"{places[index][0]} is behind a URL or in a shard, where this command does not look, and the "
                        f"table has no measures of a first pass: score the videos with --first-pass {MEASURE}"
                    )
                raise FirstPassError(
                    f"{places[index][0]} is not where the table says, and the table has no measures of a first pass: "
                    "run the command in the folder in which the videos were scored"
                )
            measured[index] = seen
    values = np.array([each or UNSEEN for each in measured], np.float64).reshape(-1, 3)
    unseen = int(np.isnan(values[missing, 0]).sum())
    moves = np.concatenate(moving) if moving else np.zeros(0, np.bool_)
    return Examples(tuple(videos), values, moves), len(missing), unseen


def _measured(row: dict[str, Any]) -> Measured | None:
    change, black, frozen = (row[name] for name in FIRST_PASS_COLUMNS)
    return None if change is None or black is None or frozen is None else (change, black, frozen)


def _part(row: dict[str, Any]) -> Part:
    return Part(row["start_seconds"], row["end_seconds"], bool(row["from_first_frame"]))
