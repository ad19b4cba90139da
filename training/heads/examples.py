"""Labelled videos with their embeddings."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.heads.errors import HeadError, counted, listed
from training.heads.labels import Labels, read_labels
from training.heads.matching import match
from training.heads.tables import COLUMNS, On, read_rows, video_names


@dataclass(frozen=True)
class Examples:
    """Labelled videos with their embeddings, in the order of their names."""

    videos: tuple[str, ...]
    """Their names in the tables."""
    embeddings: tuple[NDArray[np.floating], ...]
    """For each video (frames or segments, width) float16 or float32."""
    targets: NDArray[np.bool_]
    """(videos, labels) whether a video has a label."""
    labels: tuple[str, ...]
    """The labels, sorted."""
    on: On
    """What the embeddings are of."""
    encoder: str
    """The weights of the network that made the embeddings, as the tables name them."""
    multi_label: bool
    """Whether some video has several labels."""
    notes: tuple[str, ...] = ()
    """What a person should know of the data, a sentence each."""

    @property
    def width(self) -> int:
        """Values of an embedding."""
        return int(self.embeddings[0].shape[1])

    @property
    def frames(self) -> int:
        """The most frames, or segments, that a video has."""
        return max(map(len, self.embeddings))

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """Some of the videos, with the same labels."""
        return Examples(
            tuple(self.videos[index] for index in indices),
            tuple(self.embeddings[index] for index in indices),
            self.targets[indices],
            self.labels,
            self.on,
            self.encoder,
            self.multi_label,
        )

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that a training sees."""
        digest = hashlib.sha256(repr((self.videos, self.labels, self.on, self.encoder)).encode())
        digest.update(np.packbits(self.targets).tobytes())
        for matrix in self.embeddings:
            digest.update(repr((matrix.shape, matrix.dtype.str)).encode())
            digest.update(np.ascontiguousarray(matrix).data)
        return digest.hexdigest()


def load_examples(scores: Sequence[Path], labels: Path, on: On) -> Examples:
    """Read labels, and the embeddings of the labelled videos from tables of scores.

    Labelled videos without scores are left out, which `notes` say. Raises `HeadError` for all else that is wrong.
    """
    read = read_labels(labels)
    found = match(read.of, (video for path in scores for video in video_names(path)))
    labelled_as = {name: video for video, name in found.of.items()}
    embeddings, encoder, failed = _read(scores, on, labelled_as)
    without = [*found.absent, *(labelled_as[name] for name in failed)]
    if not embeddings:
        raise HeadError(f"none of the {len(read.of)} labelled videos has scores in the tables, such as {without[0]}")
    videos = tuple(sorted(embeddings))
    named = [read.of[labelled_as[video]] for video in videos]
    every = tuple(sorted({label for each in read.of.values() for label in each}))
    _check_labels(every, videos, named, without)
    targets = np.array([[label in each for label in every] for each in named])
    notes = [*_notes(read, found.by_file_name, without, videos, named)]
    if encoder.startswith("random"):
        notes.append("the embeddings are of a network with random weights: all figures mean nothing")
    multi_label = bool((targets.sum(1) > 1).any())
    matrices = tuple(embeddings[video] for video in videos)
    return Examples(videos, matrices, targets, every, on, encoder, multi_label, tuple(notes))


def _read(
    scores: Sequence[Path], on: On, wanted: dict[str, str]
) -> tuple[dict[str, NDArray[np.floating]], str, list[str]]:
    """Embeddings by video, their encoder, and the videos that have none."""
    embeddings: dict[str, NDArray[np.floating]] = {}
    failed, not_finite = [], []
    encoder, first = None, ""
    for path in scores:
        for row in read_rows(path, on, wanted):
            if row.embeddings is None:
                failed.append(row.video)
                continue
            if not row.encoder:
                raise HeadError(
                    f"{path} does not say which network its {COLUMNS[on]} are of: use the table as the client wrote it"
                )
            if encoder is None:
                encoder, first = row.encoder, row.video
            if row.encoder != encoder:
                raise HeadError(
                    f"the embeddings of {row.video} are of another encoder ({row.encoder}) than those of {first} "
                    f"({encoder}): score all videos with the same"
                )
            if not row.embeddings.size:
                raise HeadError(f"{path}: the {COLUMNS[on]} of {row.video} are empty")
            width = next(iter(embeddings.values())).shape[1] if embeddings else row.embeddings.shape[1]
            if row.embeddings.shape[1] != width:
                raise HeadError(
                    f"the embeddings of {row.video} have {row.embeddings.shape[1]} values, those of {first} {width}: "
                    "they are of another encoder"
                )
            if not np.isfinite(row.embeddings).all():
                not_finite.append(row.video)
            embeddings[row.video] = row.embeddings
    if not_finite:
        raise HeadError(
            f"embeddings with values that are not finite (NaN or infinite): {listed(not_finite)}; score these videos "
            "again, or remove their labels"
        )
    return embeddings, encoder or "", failed


def _check_labels(
    every: Sequence[str], videos: Sequence[str], named: Sequence[Sequence[str]], without: Sequence[str]
) -> None:
    if len(every) == 1:
        raise HeadError(f"all videos have the same label, {every[0]!r}: there is nothing to tell apart")
    times = Counter(label for each in named for label in each)
    owner = {label: video for video, each in zip(videos, named, strict=True) for label in each}
    once = [f"{label!r} ({owner[label]})" for label in every if times[label] == 1]
    if once:
        raise HeadError(
            f"labels that only one video with scores has: {listed(once)}; a label needs two videos or more, one to "
            "learn from and one to test with: label more, or check the spelling"
        )
    if absent := [repr(label) for label in every if not times[label]]:
        raise HeadError(
            f"labels that no video with scores has: {listed(absent)}; without scores: "
            f"{counted(len(without), 'labelled video')}, such as {without[0]}"
        )


def _notes(
    read: Labels, by_file_name: int, without: Sequence[str], videos: Sequence[str], named: Sequence[Sequence[str]]
) -> list[str]:
    notes = []
    if without:
        notes.append(f"{counted(len(without), 'labelled video')} without scores, left out: {listed(without)}")
    if by_file_name:
        notes.append(f"{counted(by_file_name, 'video')} matched by file name, because the tables name other folders")
    if read.repeated:
        notes.append(f"{counted(read.repeated, 'repeated label')}, counted once")
    several = [video for video, each in zip(videos, named, strict=True) if len(each) > 1]
    if several:
        notes.append(
            f"{counted(len(several), 'video')} with several labels, so each label gets a probability of its own"
        )
    return notes
