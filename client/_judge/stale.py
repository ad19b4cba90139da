"""Whether the videos of a table are still those that were scored."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .._tables.found import find_video
from .._tables.table import Metadata, read_batches
from .folder import STAMP, stamp_of


@dataclass(frozen=True)
class Stale:
    """Videos whose scores are old, or may be."""

    changed: list[str]
    """Those of which the table knows another size or time of change."""
    newer: list[str]
    """Those that have changed since the table was written, which does not know what was scored."""


def stale(table: Path, metadata: Metadata, videos: Collection[str]) -> Stale:
    """Compare a table with those of its videos whose files exist. Raises `TableError` and OSError."""
    if set(STAMP) <= set(metadata.kept):
        return Stale(_changed(table, metadata, videos), [])
    written = table.stat().st_mtime_ns
    stamps = {video: stamp_of(path) for video in videos if (path := find_video(video, table)) is not None}
    return Stale([], [video for video, stamp in stamps.items() if int(stamp[STAMP[1]] or 0) > written])


def _changed(table: Path, metadata: Metadata, videos: Collection[str]) -> list[str]:
    found = []
    for batch in read_batches(table, metadata, columns=["video", *STAMP]):
        for row in batch.to_pylist():
            video, known = row["video"], {name: row[name] for name in STAMP}
            if video not in videos or not all(known.values()) or (path := find_video(video, table)) is None:
                continue
            if stamp_of(path) != known:
                found.append(video)
    return found
