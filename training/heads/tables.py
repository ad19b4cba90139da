"""Embeddings from tables of scores, a batch of rows at a time."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from client._tables.table import Metadata
from training.heads.errors import HeadError

On = Literal["frames", "segments"]
"""What the embeddings are of."""
COLUMNS: dict[On, str] = {"frames": "frame_embeddings", "segments": "segment_embeddings"}
"""The column that has them."""
NETWORKS: dict[On, str] = {"frames": "frames", "segments": "motion"}
"""The network that made them, as a key of the table's weights."""
_BATCH_ROWS = 64  # 100 frames of 768 floats each are 20 MB
_READ_AHEAD = 1 << 20  # pyarrow reads a whole row group at once by default


@dataclass(frozen=True)
class Row:
    """The embeddings of one video."""

    video: str
    embeddings: NDArray[np.floating] | None
    """(frames or segments, width) float16 or float32; None if the video was not scored."""
    encoder: str | None
    """The weights of the network that made them; None if the table does not say."""


def video_names(path: Path) -> Iterator[str]:
    """The video of each row of a table. Raises `HeadError`."""
    with _reading(path):
        if _is_parquet(path):
            with parquet.ParquetFile(path, buffer_size=_READ_AHEAD, pre_buffer=False) as file:
                for batch in file.iter_batches(columns=["video"]):
                    yield from batch.column("video").to_pylist()
        else:
            for row in _json_lines(path):
                yield row["video"]


def read_rows(path: Path, on: On, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of a table whose video is in `wanted`. Raises `HeadError`."""
    with _reading(path):
        yield from _parquet_rows(path, on, wanted) if _is_parquet(path) else _json_rows(path, on, wanted)


def _is_parquet(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        raise HeadError(f"{path}: a CSV table has no embeddings; score into a .parquet or .jsonl file")
    if suffix not in (".parquet", ".jsonl"):
        raise HeadError(f"{path} is not a table of scores: its name must end in .parquet or .jsonl")
    return suffix == ".parquet"


def _parquet_rows(path: Path, on: On, wanted: Collection[str]) -> Iterator[Row]:
    column = COLUMNS[on]
    with parquet.ParquetFile(path, buffer_size=_READ_AHEAD, pre_buffer=False) as file:
        schema = file.schema_arrow
        if column not in schema.names:
            raise HeadError(_no_embeddings(path, on))
        encoder = Metadata.of(schema).weights.get(NETWORKS[on])
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=["video", column]):
            videos = batch.column("video").to_pylist()
            if not any(video in wanted for video in videos):
                continue
            for video, embeddings in zip(videos, _matrices(batch.column(column), path), strict=True):
                if video in wanted:
                    yield Row(video, None if embeddings is None else embeddings.copy(), encoder)


def _matrices(column: pa.Array, path: Path) -> Iterator[NDArray[np.floating] | None]:
    """For each row its (frames, width) embeddings, None for null; `column` has lists of lists of floats."""
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    if not _is_list(column.type) or not _is_list(column.type.value_type):
        raise HeadError(f"{path}: embeddings are {column.type}, expected lists of lists of floats")
    inner = column.values
    if pa.types.is_fixed_size_list(inner.type):
        width = inner.type.list_size
    else:
        widths = inner.value_lengths().unique().to_pylist()
        if len(widths) > 1:
            raise HeadError(f"{path}: its embeddings have different widths: {widths[0]} and {widths[1]}")
        width = widths[0] if widths else 0
    flat = inner.flatten()
    if inner.null_count or flat.null_count:
        raise HeadError(f"{path}: some of its embeddings lack a value")
    floats = flat.to_numpy(zero_copy_only=False)
    if floats.dtype not in (np.float16, np.float32, np.float64):
        raise HeadError(f"{path}: embeddings are {column.type}, expected lists of lists of floats")
    floats = floats.reshape(-1, width).astype(np.float32 if floats.dtype == np.float64 else floats.dtype, copy=False)
    starts = column.offsets.to_numpy()
    for index, valid in enumerate(column.is_valid().to_pylist()):
        yield floats[starts[index] : starts[index + 1]] if valid else None


def _is_list(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _json_rows(path: Path, on: On, wanted: Collection[str]) -> Iterator[Row]:
    column = COLUMNS[on]
    scored = with_embeddings = 0
    for row in _json_lines(path):
        embeddings = row.get(column)
        scored += "error" not in row
        with_embeddings += embeddings is not None
        if row["video"] not in wanted:
            continue
        encoder = row.get("weights", {}).get(NETWORKS[on])
        if embeddings is None:
            yield Row(row["video"], None, encoder)
            continue
        try:
            matrix = np.array(embeddings, np.float32)
        except (ValueError, TypeError):
            raise HeadError(f"{path}: the {column} of {row['video']} are not lists of equally many numbers") from None
        if matrix.size and matrix.ndim != 2:
            raise HeadError(f"{path}: the {column} of {row['video']} are not lists of lists of numbers")
        yield Row(row["video"], matrix, encoder)
    if scored and not with_embeddings:
        raise HeadError(_no_embeddings(path, on))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return  # a run is still writing it
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("video"), str):
                raise HeadError(f"{path}, line {number}: not the score of a video")
            yield row


def _no_embeddings(path: Path, on: On) -> str:
    return f"{path} has no {COLUMNS[on]}: score the videos again, with {on} among the signals"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns errors into `HeadError`s that name the file."""
    try:
        yield
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, pa.ArrowException) as error:
        raise HeadError(f"{path} is not a table of scores: {error}") from error
