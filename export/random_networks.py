"""Checkpoints of the optional networks with random weights, by the formulas of `export.random_weights`.

They have the names, shapes and preprocessing of the default sources: the vision tower of CLIP ViT-B/32, and
VideoMAE-base with 400 labels. What they compute means nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np

from export.random_text import text_config, text_shapes, write_tokenizer
from export.random_weights import (
    PREPROCESSOR,
    Shapes,
    camera_config,
    classifier_shapes,
    draw,
    linear,
    norm,
    write_checkpoint,
)

FRAME_SIZE = 224
PATCH = 32
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BICUBIC = 3
ACTIONS = tuple(f"action_{index}" for index in range(400))


def write_frames_checkpoint(
    directory: Path,
    seed: int = 0,
    *,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    outputs: int = 512,
    text_width: int | None = None,
) -> None:
    """Write the vision tower of a CLIP (`config.json`, `preprocessor_config.json`, `model.safetensors`).

    With `text_width`, it is a whole CLIP with the same vision tower, whose text half has this width, and a tokenizer.
    The defaults are the size of `openai/clip-vit-base-patch32`, 87.8 M parameters.
    """
    config: dict[str, Any] = {
        "architectures": ["CLIPVisionModelWithProjection"],
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "projection_dim": outputs,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "num_channels": 3,
        "image_size": FRAME_SIZE,
        "patch_size": PATCH,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    }
    preprocessor: dict[str, Any] = PREPROCESSOR | {
        "image_processor_type": "CLIPImageProcessor",
        "resample": BICUBIC,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    shapes = dict(_vision_shapes(width, depth, outputs))
    if text_width is not None:
        text = text_config(width=text_width, depth=depth, heads=max(1, text_width // 64), outputs=outputs)
        vision = {name: value for name, value in config.items() if name not in ("architectures", "model_type")}
        config = {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": outputs}
        config |= {"text_config": text, "vision_config": vision}
        shapes |= dict(text_shapes(text_width, depth, outputs))
    tensors = {name: np.asarray(draw(name, shape, seed), np.float32) for name, shape in shapes.items()}
    write_checkpoint(directory, tensors, {"config.json": config, "preprocessor_config.json": preprocessor})
    if text_width is not None:
        write_tokenizer(directory)


def write_text_checkpoint(directory: Path, seed: int = 0) -> None:
    """Write a whole CLIP with a tokenizer: the size of `openai/clip-vit-base-patch32` but for the vocabulary."""
    write_frames_checkpoint(directory, seed, text_width=512)


def write_actions_checkpoint(
    directory: Path,
    seed: int = 0,
    *,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    patch: int = 16,
    labels: tuple[str, ...] = ACTIONS,
) -> None:
    """Write an action classifier (`config.json`, `preprocessor_config.json`, `model.safetensors`).

    The defaults are the size of `MCG-NJU/videomae-base-finetuned-kinetics`, 86.5 M parameters.
    """
    config = camera_config(labels, width=width, depth=depth, heads=heads, patch=patch)
    config["problem_type"] = "single_label_classification"
    tensors = {name: draw(name, shape, seed) for name, shape in classifier_shapes(width, depth, len(labels), patch)}
    write_checkpoint(directory, tensors, {"config.json": config, "preprocessor_config.json": PREPROCESSOR})


def _vision_shapes(width: int, depth: int, outputs: int) -> Shapes:
    yield "vision_model.embeddings.class_embedding", (width,)
    yield "vision_model.embeddings.patch_embedding.weight", (width, 3, PATCH, PATCH)
    yield "vision_model.embeddings.position_embedding.weight", ((FRAME_SIZE // PATCH) ** 2 + 1, width)
    yield from norm("vision_model.pre_layrnorm", width)
    for index in range(depth):
        layer = f"vision_model.encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{part}", width, width)
        yield from norm(f"{layer}.layer_norm1", width)
        yield from linear(f"{layer}.mlp.fc1", width, 4 * width)
        yield from linear(f"{layer}.mlp.fc2", 4 * width, width)
        yield from norm(f"{layer}.layer_norm2", width)
    yield from norm("vision_model.post_layernorm", width)
    yield "visual_projection.weight", (outputs, width)
