"""How well captions fit the frames of a set of videos."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .._sdk.text import TextEmbedding
from .errors import EvaluationError
from .rows import CaptionedRow

EVERY = 2
"""Every second frame counts, from the first on."""
SCALE = 100.0
_ROWS_AT_ONCE = 64

Embed = Callable[[str], TextEmbedding]


@dataclass(frozen=True)
class SetFit:
    """The figures of one set."""

    scores: dict[str, NDArray[np.float64]]
    """For each caption column, (rows,): the fit of each row that counts, in the order of the table."""
    rows: int
    """Rows of the table, or of the sample."""
    without_embeddings: int
    """Of them, rows without embeddings of frames, which do not count."""
    without_captions: int
    """Of the others, rows that lack a caption, which do not count."""
    texts_cut: dict[str, int]
    """For each caption column, texts that were cut because the encoder takes no longer ones."""


def fit(frames: NDArray[np.floating], text: NDArray[np.floating]) -> float:
    """The mean over every second frame of max(0, 100 cos(frame, text)).

    frames: (frames, dimensions); text: (dimensions,). This is CLIPScore (Hessel et al. 2021) per frame, with the factor
    100 instead of 2.5, as in torchmetrics. A vector of length 0 fits nothing.
    """
    chosen = frames[::EVERY].astype(np.float64)
    exact = text.astype(np.float64)
    lengths = np.linalg.norm(chosen, axis=1) * np.linalg.norm(exact)
    cosines = np.divide(chosen @ exact, lengths, out=np.zeros(len(chosen)), where=lengths > 0)
    return float(np.maximum(0.0, SCALE * cosines).mean())


def fit_set(rows: Iterable[CaptionedRow], captions: Sequence[str], embed: Embed, *, in_flight: int = 4) -> SetFit:
    """The fit of each caption of each row that has embeddings and all `captions`.

    embed: embeds a text; `in_flight` threads call it. Raises its `ClientError`, and `EvaluationError`.
    """
    scores: dict[str, list[float]] = {name: [] for name in captions}
    cut = dict.fromkeys(captions, 0)
    count = without_embeddings = without_captions = 0
    remaining = iter(rows)
    with ThreadPoolExecutor(in_flight) as pool:
        while some := list(islice(remaining, _ROWS_AT_ONCE)):
            count += len(some)
            embedded = [row for row in some if row.frames is not None]
            whole = [row for row in embedded if all(name in row.captions for name in captions)]
            without_embeddings += len(some) - len(embedded)
            without_captions += len(embedded) - len(whole)
            texts = list(dict.fromkeys(row.captions[name] for row in whole for name in captions))
            vectors = dict(zip(texts, pool.map(embed, texts), strict=True))
            for row in whole:
                assert row.frames is not None
                for name in captions:
                    found = vectors[row.captions[name]]
                    _check(row.frames, found)
                    scores[name].append(fit(row.frames, found.embedding))
                    cut[name] += found.tokens_cut > 0
    arrays = {name: np.array(values, np.float64) for name, values in scores.items()}
    return SetFit(arrays, count, without_embeddings, without_captions, cut)


def _check(frames: NDArray[np.floating], text: TextEmbedding) -> None:
    if frames.shape[1] != len(text.embedding):
        raise EvaluationError(
            f"frames have embeddings of {frames.shape[1]} values, texts of {len(text.embedding)}: they are of "
            "different encoders"
        )
