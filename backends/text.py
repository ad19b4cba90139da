"""Sentences to token numbers, with the tokenizer of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

MAX_CHARACTERS = 10_000
"""Of a text: encoders take the first few hundred, and a tokenizer's time grows with the rest."""


class InvalidText(ValueError):
    """A text cannot be embedded; the message is a sentence for the caller."""


@dataclass(frozen=True)
class Tokens:
    """A text as an encoder takes it."""

    ids: NDArray[np.int64]
    """(1, tokens) int64."""
    used: int
    """Tokens of the text among them: without padding."""
    whole: int
    """Tokens of the whole text, which is longer if it was cut."""


class TextTokens:
    """A tokenizer, and how long texts may be."""

    def __init__(self, path: Path, longest: int, padding: int | None) -> None:
        """path: a `tokenizer.json`. Longer texts are cut to `longest` tokens; shorter ones filled up with `padding`."""
        self._whole, self._cut = (Tokenizer.from_file(str(path)) for _ in range(2))
        for tokenizer in (self._whole, self._cut):
            tokenizer.no_padding()
        self._whole.no_truncation()
        # The tokens at the ends stay.
        self._cut.enable_truncation(longest)
        self._longest = longest
        self._padding = padding

    def of(self, text: bytes) -> Tokens:
        """The tokens of a text in UTF-8. Raises `InvalidText`."""
        try:
            characters = text.decode()
        except UnicodeDecodeError as error:
            raise InvalidText(f"TEXT is not UTF-8: {error.reason} at byte {error.start}") from error
        if not characters.strip():
            raise InvalidText("TEXT is empty")
        if len(characters) > MAX_CHARACTERS:
            raise InvalidText(f"TEXT has {len(characters)} characters, it may have {MAX_CHARACTERS}")
        ids = self._whole.encode(characters).ids
        whole = len(ids)
        if whole > self._longest:
            ids = self._cut.encode(characters).ids
        used = len(ids)
        if self._padding is not None:
            ids = ids + [self._padding] * (self._longest - used)
        if not ids:
            raise InvalidText("TEXT has no token")
        return Tokens(np.array([ids], np.int64), used, whole)
