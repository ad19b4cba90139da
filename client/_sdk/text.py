"""Embeddings of sentences: the request to the model `text_embedding`, and its answer, for both clients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc

from ..errors import ClientError, InvalidRequest, ServerError
from .parameters import REASON
from .request import Request
from .signals import NotServed

MODEL = "text_embedding"
NO_TEXT = (
    f"the server has no model {MODEL}, so it cannot embed text: export an image encoder of CLIP or SigLIP with its "
    "text encoder (python -m export --frames SOURCE --text)"
)
_UNKNOWN_MODEL = "unknown model"


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """The embedding of a text, to compare with those of frames by their cosine."""

    embedding: NDArray[np.float32]
    """(dimensions,) float32, as the text encoder gives it: not of unit length."""
    tokens: int
    """Tokens of the text that the encoder took, with those at its ends."""
    tokens_cut: int
    """Tokens that were left out because the text is longer than the encoder takes."""


def text_request(text: str) -> Request:
    """Asks for the embedding of a text. Raises `InvalidRequest`."""
    if not isinstance(text, str):
        raise InvalidRequest(f"a text must be a string, not {type(text).__name__}", reason=REASON)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"the text cannot be written as UTF-8: {error.reason}", reason=REASON) from error
    tensor = grpc.InferInput("TEXT", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([content], object))
    outputs = [grpc.InferRequestedOutput(name) for name in ("TEXT_EMBEDDING", "TEXT_TOKENS")]
    return Request(MODEL, [tensor], outputs, None)


def text_answer(answer: grpc.InferResult) -> TextEmbedding:
    """The embedding in an answer. Raises `ServerError` if it has none."""
    try:
        (embedding,) = answer.as_numpy("TEXT_EMBEDDING")
        ((used, whole),) = answer.as_numpy("TEXT_TOKENS").tolist()
        return TextEmbedding(np.array(embedding, np.float32).reshape(-1), used, whole - used)
    except (AttributeError, TypeError, ValueError) as error:
        raise ServerError("the answer of the server is not that of this model") from error


@contextmanager
def text_served() -> Iterator[None]:
    """Raises `NotServed` for a server without a text encoder."""
    try:
        yield
    except ClientError as error:
        if _UNKNOWN_MODEL in str(error):
            raise NotServed(NO_TEXT) from error
        raise
