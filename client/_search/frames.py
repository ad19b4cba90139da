"""The embeddings of frames in a table, some rows at a time: tables may be larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .._tables.how_to_add import how_to_add
from .._tables.row import EMBEDDING_COLUMNS, SECONDS_COLUMN
from .._tables.table import Metadata, read_batches, read_metadata, signal_columns
from .errors import SearchError

COLUMN = EMBEDDING_COLUMNS["frames"]


@dataclass(frozen=True)
class FrameRows:
    """Some rows of a table that have embeddings of frames."""

    rows: NDArray[np.int64]
    """(rows,) int64: their numbers in the table."""
    starts: NDArray[np.int64]
    """(rows,) int64: where the frames of each row begin."""
    counts: NDArray[np.int64]
    """(rows,) int64: how many it has, at least 1."""
    frames: NDArray[np.floating]
    """(frames, dimensions) float16 or float32: the embeddings as they are in the table."""
    seconds: NDArray[np.float32] | None
    """(frames,) float32: when each frame is shown; None if the table does not say."""

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, queries) float32: the cosine of each frame with each of `queries`, which have unit length."""
        frames = self.frames.astype(np.float32, copy=False)
        lengths = np.sqrt(np.einsum("ij,ij->i", frames, frames))
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines: NDArray[np.float32] = (frames @ queries.T) / lengths[:, None]
        cosines[~np.isfinite(cosines)] = 0  # of a vector of length 0
        return cosines

    def best(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, queries): the largest cosine of a row's frames."""
        return np.maximum.reduceat(cosines, self.starts)

    def mean(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, queries): their mean."""
        return (np.add.reduceat(cosines, self.starts) / self.counts[:, None]).astype(np.float32)


def check_frames(path: Path) -> None:
    """Raise `SearchError` if a table has no embeddings of frames; `TableError` if it is none."""
    if COLUMN not in [field.name for field in signal_columns(path)]:
        raise SearchError(f"{path} has no embeddings of frames: {how_to_add('frames', read_metadata(path).signals)}")


def frame_rows(path: Path, metadata: Metadata, dimensions: int) -> Iterator[FrameRows]:
    """The rows of a table that have embeddings. Raises `TableError`, and `SearchError` for other dimensions."""
    columns = [COLUMN]
    if SECONDS_COLUMN in [field.name for field in signal_columns(path)]:
        columns.append(SECONDS_COLUMN)
    first = 0
    for batch in read_batches(path, metadata, columns=columns):
        if (found := rows_of(batch, first)) is not None:
            check_dimensions(path, found, dimensions)
            yield found
        first += batch.num_rows


def rows_of(batch: pa.RecordBatch, first: int = 0) -> FrameRows | None:
    """The rows of a batch that have embeddings, None if none has; `first` is the number of its first row."""
    counts = pc.fill_null(pc.list_value_length(batch.column(COLUMN)), 0).to_numpy(zero_copy_only=False)
    (present,) = np.nonzero(counts)
    if not len(present):
        return None
    embeddings = batch.column(COLUMN).flatten()
    frames = embeddings.flatten().to_numpy(zero_copy_only=False).reshape(len(embeddings), -1)
    counts = counts[present].astype(np.int64)
    seconds = None
    if SECONDS_COLUMN in batch.schema.names:
        shown = batch.column(SECONDS_COLUMN).flatten()
        if len(shown) == len(frames):
            seconds = shown.to_numpy(zero_copy_only=False)
    starts = np.cumsum(counts) - counts
    return FrameRows(present.astype(np.int64) + first, starts, counts, frames, seconds)


def check_dimensions(path: Path, rows: FrameRows, dimensions: int) -> None:
    """Raise `SearchError` if embeddings have others than the query."""
    if (width := rows.frames.shape[1]) != dimensions:
        raise SearchError(
            f"{path} has embeddings of {width} values, the server's have {dimensions}: they are of different encoders"
        )
