"""What to search for, as vectors of unit length."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._sdk.client import Client
from .._sdk.result import Weights
from .._sdk.text import NO_TEXT, TextEmbedding
from .._tables.table import Metadata
from ..errors import InvalidRequest, UnreadableFile
from .errors import SearchError


def check_encoder(path: Path, metadata: Metadata, weights: Weights, *, text: bool) -> None:
    """Raise `SearchError` if the server cannot embed, or the table's embeddings are of another encoder."""
    served = weights.text if text else weights.frames
    if served is None:
        raise SearchError(NO_TEXT if text else "the server has no image encoder: export one with --frames")
    encoder = metadata.weights.get("frames")
    if encoder is not None and encoder != served:
        raise SearchError(f"the embeddings of {path} are by {encoder}, the server's would be by {served}")


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    """The vector (dimensions,) with unit length. Raises `SearchError` for one of length 0."""
    exact = vector.astype(np.float64)
    length = float(np.linalg.norm(exact))
    if not (np.isfinite(length) and length > 0):
        raise SearchError("the server's embedding has no direction: its length is 0 or not finite")
    return (exact / length).astype(np.float32)


def of_texts(client: Client, texts: Mapping[str, str]) -> tuple[NDArray[np.float32], list[TextEmbedding]]:
    """(texts, dimensions) float32 of unit length, and what the server said of each text.

    texts: by what messages call them. Raises `SearchError` for a text that the server refuses, `ClientError` otherwise.
    """
    embedded = []
    for name, text in texts.items():
        try:
            embedded.append(client.embed_text(text))
        except InvalidRequest as error:
            why = str(error).removeprefix("TEXT ")
            raise SearchError(f"{name}: {why}") from error
    return np.stack([unit(each.embedding) for each in embedded]), embedded


def of_video(client: Client, video: Path | str, frames: int | None) -> NDArray[np.float32]:
    """(1, dimensions) float32: the direction of the mean of a video's frames, each of unit length.

    Raises `SearchError` for a video that cannot be read or scored, `ClientError` if the server is away.
    """
    try:
        score = client.score(video, signals=("frames",), heads=(), **({} if frames is None else {"frames": frames}))
    except (InvalidRequest, UnreadableFile) as error:
        raise SearchError(f"{video}: {error}") from error
    assert score.frames is not None
    return unit(np.mean([unit(each) for each in score.frames.embeddings], axis=0))[None]
