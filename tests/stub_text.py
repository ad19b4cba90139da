"""A connection that answers as a server with a text encoder does, for tests of the client alone."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stub_server import Answer
from tests.stub_signals import WEIGHTS, SignalsConnection

ENCODER = "c@3"
"""The image encoder of `WEIGHTS`."""
LONGEST = 77
Embedder = Callable[[str], NDArray[np.floating]]


def embedding_of(text: str, width: int = 4) -> NDArray[np.float32]:
    """The embedding of a text: random, but always the same."""
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(width, np.float32)


class TextConnection(SignalsConnection):
    """Embeds texts as well, each with a function; a word is a token."""

    def __init__(self, embed: Embedder = embedding_of, *, encoder: str = ENCODER) -> None:
        frames = WEIGHTS["frames"] | {"source": encoder}
        super().__init__(WEIGHTS | {"frames": frames, "text": {"source": encoder, "dimensions": 4}})
        self.embed = embed
        self.texts: list[str] = []
        """The texts that were sent."""

    def infer(self, model_name: str, inputs: list[Any], outputs: list[Any] | None = None, **options: Any) -> Answer:
        if model_name != "text_embedding":
            return super().infer(model_name, inputs, outputs, **options)
        text = inputs[0]._get_content()[4:].decode()
        with self._lock:
            self.texts.append(text)
        words = len(text.split())
        counts = np.array([[min(words, LONGEST), words]], np.int32)
        return Answer({"TEXT_EMBEDDING": self.embed(text)[None], "TEXT_TOKENS": counts})


def answer_with_text(
    monkeypatch: pytest.MonkeyPatch, embed: Embedder = embedding_of, *, encoder: str = ENCODER
) -> TextConnection:
    """Give every client that is made from now on a `TextConnection`."""
    connection = TextConnection(embed, encoder=encoder)
    monkeypatch.setattr("client._sdk.client.connect", lambda *_, **__: connection)
    return connection
