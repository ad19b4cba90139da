"""The text encoder among the optional networks, with the model that tokenizes for it."""

from typing import Any

import torch

from export.configs import stage_model
from export.exporter import Exporter
from export.manifest import TEXT_ENCODER_MODEL, TEXT_MODEL
from export.optional import OptionalNetwork
from export.repository import Transaction
from export.source import Checkpoint
from export.text_network import load_text

MIN_TOKENS = 2
"""Those at the ends of a text, or of a text of one token with one end."""


class Text(OptionalNetwork):
    """Two models: `text_encoder`, token numbers to embeddings, and `text_embedding`, a sentence to its embedding."""

    key = "text"
    model = TEXT_ENCODER_MODEL

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._loaded = load_text(checkpoint.directory)
        self._name = checkpoint.name

    def entry(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "source": self._name,
            "architecture": self._loaded.architecture,
            "dimensions": self._loaded.dimensions,
            "max_tokens": self._loaded.max_tokens,
        }

    def write(self, exporter: Exporter, transaction: Transaction) -> None:
        loaded = self._loaded
        entries = loaded.network.body.config.vocab_size
        length = min(7, loaded.max_tokens - 1)  # another one than the shortest and the longest
        example = torch.randint(0, entries, (3, length), generator=torch.Generator().manual_seed(0))
        lengths = (MIN_TOKENS, loaded.max_tokens)
        exporter.write(loaded.network, self.model, "TOKEN_IDS", ["TEXT_EMBEDS"], example, lengths=lengths)
        stage_model(transaction, self.model, "text_encoder", dimensions=loaded.dimensions)
        padding = "" if loaded.padding is None else loaded.padding
        sizes = {"dimensions": loaded.dimensions, "max_tokens": loaded.max_tokens, "padding": padding}
        stage_model(transaction, TEXT_MODEL, "text_embedding", **sizes)
        transaction.stage(f"{TEXT_MODEL}/1/tokenizer.json").write_bytes(loaded.tokenizer)
