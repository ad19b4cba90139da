"""Text encoders: the text half of a CLIP or SigLIP checkpoint of transformers, to embeddings of sentences."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPModel, PreTrainedModel, SiglipModel

from export.attention import AttentionForm
from export.checkpoint import read_json, read_tensors
from export.errors import ExportError, SourceUnavailable
from export.fp16 import Fp16Network
from export.loading import load_pretrained

WHAT = "text checkpoint"
MODELS: dict[str, type[PreTrainedModel]] = {"clip": CLIPModel, "siglip": SiglipModel}
"""transformers' class for a whole checkpoint, by the `model_type` of its `config.json`."""
LOWEST = torch.finfo(torch.float16).min
"""What the mask adds to the weight of a later token: it is 0 after the softmax, in fp16 and in float32."""
OLDER_END = 2
"""Older configurations of CLIP have this `eos_token_id`, whatever the tokenizer's is: they mean the highest number."""


class TextEncoder(Fp16Network):
    """TOKEN_IDS int64 (texts, tokens) to TEXT_EMBEDS float32 (texts, width), as transformers' `get_text_features`.

    CLIP sees only the tokens before each token, and its embedding is that of the first end token. SigLIP sees all of
    them, and its embedding is that of the last one: its texts are padded to the longest.
    """

    mask: Tensor
    order: Tensor

    def __init__(self, model: Any, architecture: str) -> None:
        super().__init__()
        self.body: Any = model.text_model
        self.projection: nn.Module
        self.causal = architecture == "clip"
        if self.causal:
            self.projection = model.text_projection
        else:
            self.projection = self.body.head
            del self.body.head
        # Texts are short: a matrix product and a softmax are as fast as a kernel of their own, and take a mask.
        self.body.set_attn_implementation("eager")
        self.end = int(self.body.config.eos_token_id)
        self.longest = int(self.body.config.max_position_embeddings)
        later = torch.ones(self.longest, self.longest, dtype=torch.bool).triu(1)
        self.register_buffer("mask", torch.zeros(later.shape).masked_fill(later, LOWEST)[None, None], persistent=False)
        order = torch.arange(self.longest, 0, -1, dtype=torch.int32) - 1
        self.register_buffer("order", order[None], persistent=False)

    def forward(self, token_ids: Tensor) -> Tensor:
        tokens = token_ids.shape[1]
        embeddings = self.body.embeddings
        hidden = embeddings.token_embedding(token_ids) + embeddings.position_embedding.weight[:tokens]
        mask = self.mask[:, :, :tokens, :tokens].to(hidden.dtype) if self.causal else None
        for layer in self.body.encoder.layers:
            hidden = layer(hidden, mask)
        hidden = self.body.final_layer_norm(hidden)
        if not self.causal:
            return self.projection(hidden[:, -1].float())
        numbers = token_ids.int()
        wanted = numbers if self.end == OLDER_END else (numbers == self.end).int()
        # The first of the largest: runtimes differ in which of several equal ones they choose.
        last = (wanted * self.longest + self.order[:, :tokens]).argmax(-1)
        return self.projection(hidden[torch.arange(hidden.shape[0]), last].float())

    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert the body to `dtype`; the projection stays float32."""
        self.body.to(dtype)

    def use_attention(self, form: AttentionForm) -> int:  # noqa: ARG002
        """It has no other form, because of its mask."""
        return 0


@dataclass(frozen=True)
class TextCheckpoint:
    """A text encoder, and what the server must know of its checkpoint."""

    network: TextEncoder
    architecture: str
    """`clip` or `siglip`."""
    dimensions: int
    """The width of an embedding."""
    max_tokens: int
    """The most tokens of a text, with those at its ends."""
    padding: int | None
    """The token that shorter texts are filled up with; None if they are not."""
    tokenizer: bytes
    """The content of `tokenizer.json`."""


def load_text(directory: Path) -> TextCheckpoint:
    """Read a text encoder from a checkpoint directory; `ExportError` names what is not supported."""
    config = read_json(directory / "config.json")
    architecture = str(config.get("model_type"))
    if architecture not in MODELS:
        raise ExportError(f"{WHAT}: model_type is {architecture!r}, and only those of clip and siglip have a text half")
    model = load_pretrained(MODELS[architecture], directory, read_tensors(directory), WHAT)
    network = TextEncoder(model, architecture).eval()
    tokenizer = _tokenizer(directory)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    entries = network.body.config.vocab_size
    if not 0 <= highest < entries:
        raise ExportError(f"{WHAT}: tokenizer.json has tokens up to {highest}, config.json says vocab_size {entries}")
    padding = None if architecture == "clip" else _padding(directory, tokenizer)
    with torch.inference_mode():
        dimensions = network(torch.zeros(1, 2, dtype=torch.int64)).shape[1]
    content = (directory / "tokenizer.json").read_bytes()
    return TextCheckpoint(network, architecture, dimensions, network.longest, padding, content)


def _tokenizer(directory: Path) -> Tokenizer:
    read_json(directory / "tokenizer.json")  # for its messages
    try:
        return Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # it raises plain exceptions
        reason = str(error).strip().partition("\n")[0]
        raise SourceUnavailable(f"{WHAT}: tokenizers cannot read tokenizer.json: {reason}") from error


def _padding(directory: Path, tokenizer: Tokenizer) -> int:
    """The number of the token that `tokenizer_config.json` names: `config.json` has often only a default."""
    named = read_json(directory / "tokenizer_config.json").get("pad_token")
    token = named.get("content") if isinstance(named, dict) else named
    number = tokenizer.token_to_id(token) if isinstance(token, str) else None
    if number is None:
        shown = json.dumps(named)
        raise ExportError(f"{WHAT}: tokenizer_config.json has pad_token {shown}, which is no token of tokenizer.json")
    return number
