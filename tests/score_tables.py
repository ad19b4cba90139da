"""Tables of scores made for a test, distributed as real sets of videos are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from client._tables.table import Metadata
from export.random_weights import CAMERA_LABELS

METADATA = Metadata({"motion": "made@1", "camera": "made@2", "precision": "f32"}, CAMERA_LABELS, {})
COMMON = ("static", "pan_left", "pan_right", "zoom_in", "tilt_up", "track", "shake", "dolly_in", "undefined", "pov")
REASONS = (
    ("InvalidRequest", "decoding stopped at frame 118 of 300: the file is truncated"),
    ("InvalidRequest", "the video has no video stream"),
    ("UnreadableFile", "cannot read the file: No such file or directory"),
)


def write_scores(
    path: Path,
    scores: Sequence[tuple[float, float, float] | str],
    *,
    clips: Sequence[Sequence[tuple[float, float, list[str]]]] | None = None,
    videos: Sequence[str] | None = None,
    parts: Sequence[tuple[float | None, float | None]] | None = None,
    metadata: Metadata = METADATA,
) -> Path:
    """A table with these rows: camera, object and dynamics of each, or why it failed."""
    rows = []
    for index, row in enumerate(scores):
        failed = isinstance(row, str)
        start_seconds, end_seconds = parts[index] if parts else (None, None)
        rows.append(
            {
                "video": videos[index] if videos else f"videos/{index:07}.mp4",
                "start_seconds": start_seconds,
                "end_seconds": end_seconds,
                "error": row if failed else None,
                "error_kind": "InvalidRequest" if failed else None,
                "camera_movement_score": None if failed else row[0],
                "object_movement_score": None if failed else row[1],
                "dynamics_score": None if failed else row[2],
                "duration_seconds": None if failed else 4.0,
                "frames": None if failed else 100,
                "frames_per_second": None if failed else 25.0,
                "width": None if failed else 640,
                "height": None if failed else 360,
                "clips": None
                if failed
                else [
                    {
                        "start_seconds": start,
                        "end_seconds": end,
                        "labels": labels,
                        "probabilities": [0.9 if label in labels else 0.01 for label in metadata.labels],
                    }
                    for start, end, labels in (clips[index] if clips else [(0.0, 2.0, ["static"])])
                ],
            }
        )
    parquet.write_table(pa.Table.from_pylist(rows, schema=metadata.schema()), path)
    return path


def write_realistic_scores(path: Path, rows: int, seed: int = 0, *, failed: float = 0.02) -> Path:
    """A table of `rows` videos: some static, some slideshows, some chaotic, most in between; written in parts."""
    random = np.random.default_rng(seed)
    schema = METADATA.schema()
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, rows, 50_000):
            writer.write_table(_realistic(random, first, min(50_000, rows - first), failed).cast(schema))
    return path


def _realistic(random: np.random.Generator, first: int, rows: int, failed_share: float) -> pa.Table:
    kind = random.choice(4, rows, p=[0.62, 0.2, 0.1, 0.08])
    means = np.array([[0.9, 1.1, 0.9], [0.12, 0.18, 0.35], [2.6, 2.3, 2.6], [0.5, 0.2, 1.7]])
    spreads = np.array([[0.6, 0.5, 0.4], [0.15, 0.16, 0.3], [0.3, 0.4, 0.3], [0.4, 0.15, 0.4]])
    shared = random.normal(0, 1, (rows, 1)) * 0.5
    scores = means[kind] + spreads[kind] * (shared + random.normal(0, 0.9, (rows, 3)))
    scores = np.round(3 / (1 + np.exp(-(np.clip(scores, -0.4, 3.4) - 1.5) * 2)), 6).astype(np.float32)
    failed = random.random(rows) < failed_share
    reasons = random.integers(0, len(REASONS), rows)
    clip_counts = np.where(failed, 0, random.integers(1, 6, rows))
    total = int(clip_counts.sum())
    probabilities = (random.random((total, len(CAMERA_LABELS))) * 0.4).astype(np.float32)
    labels = np.minimum(random.geometric(0.3, total) - 1, len(COMMON) - 1)
    names = np.array(COMMON)[labels]
    columns = np.array([CAMERA_LABELS.index(label) for label in COMMON])[labels]
    probabilities[np.arange(total), columns] = 0.9
    offsets = np.concatenate([[0], np.cumsum(clip_counts)])
    index_in_video = np.arange(total) - np.repeat(offsets[:-1], clip_counts)
    struct = pa.StructArray.from_arrays(
        [
            pa.array(index_in_video * 2.0, pa.float32()),
            pa.array(index_in_video * 2.0 + 2, pa.float32()),
            pa.ListArray.from_arrays(pa.array(np.arange(total + 1), pa.int32()), pa.array(names)),
            pa.ListArray.from_arrays(
                pa.array(np.arange(total + 1) * len(CAMERA_LABELS), pa.int32()), pa.array(probabilities.ravel())
            ),
        ],
        ["start_seconds", "end_seconds", "labels", "probabilities"],
    )
    empty = pa.nulls(rows, pa.float64())
    return pa.table(
        {
            "video": pa.array([f"/data/clips/{first + index:07}.mp4" for index in range(rows)]),
            "start_seconds": empty,
            "end_seconds": empty,
            "error": pa.array([REASONS[reasons[i]][1] if failed[i] else None for i in range(rows)], pa.string()),
            "error_kind": pa.array([REASONS[reasons[i]][0] if failed[i] else None for i in range(rows)], pa.string()),
            **{
                name: pa.array(scores[:, column], mask=failed)
                for column, name in enumerate(("camera_movement_score", "object_movement_score", "dynamics_score"))
            },
            "duration_seconds": pa.array(clip_counts * 2.0, mask=failed),
            "frames": pa.array(clip_counts * 50, mask=failed),
            "frames_per_second": pa.array(np.full(rows, 25.0), mask=failed),
            "width": pa.array(np.full(rows, 1280, np.int32), mask=failed),
            "height": pa.array(np.full(rows, 720, np.int32), mask=failed),
            "clips": pa.ListArray.from_arrays(pa.array(offsets, pa.int32(), mask=np.append(failed, False)), struct),
        }
    )
