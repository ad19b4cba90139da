"""The text half of a CLIP with random weights, and a tokenizer of single bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.random_weights import Shapes, linear, norm

MAX_TOKENS = 77
"""Of CLIP."""
VOCABULARY = 514
"""Each byte inside and at the end of a word, and the two tokens at the ends of a text."""


def text_config(*, width: int, depth: int, heads: int, outputs: int) -> dict[str, Any]:
    """The `text_config` of a CLIP."""
    return {
        "model_type": "clip_text_model",
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "projection_dim": outputs,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "max_position_embeddings": MAX_TOKENS,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "bos_token_id": VOCABULARY - 2,
        "eos_token_id": VOCABULARY - 1,
        "pad_token_id": VOCABULARY - 1,
    }


def text_shapes(width: int, depth: int, outputs: int) -> Shapes:
    """The tensors of a `CLIPModel` that are not those of its vision tower."""
    yield "logit_scale", ()
    yield "text_model.embeddings.token_embedding.weight", (VOCABULARY, width)
    yield "text_model.embeddings.position_embedding.weight", (MAX_TOKENS, width)
    for index in range(depth):
        layer = f"text_model.encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{part}", width, width)
        yield from norm(f"{layer}.layer_norm1", width)
        yield from linear(f"{layer}.mlp.fc1", width, 4 * width)
        yield from linear(f"{layer}.mlp.fc2", 4 * width, width)
        yield from norm(f"{layer}.layer_norm2", width)
    yield from norm("text_model.final_layer_norm", width)
    yield "text_projection.weight", (outputs, width)


def write_tokenizer(directory: Path, merges: Sequence[tuple[str, str]] = ()) -> int:
    """Write CLIP's tokenizer with these merges (`tokenizer.json`, `tokenizer_config.json`) into `directory`.

    Returns the number of tokens. The last two are those at the ends of a text.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer  # takes seconds to import

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(one + other for one, other in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    pairs: Any = [*merges]  # transformers types them as text
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=pairs)
    tokenizer.model_max_length = MAX_TOKENS
    tokenizer.save_pretrained(directory)
    return len(words)
