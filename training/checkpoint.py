"""Writing trained models as checkpoints with the published names, in fp16."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.motion_network import BACKBONE_HEADS
from export.random_weights import IMAGE_MEAN, IMAGE_STD, PREPROCESSOR, camera_config, motion_config, write_checkpoint
from training.moves import LABELS
from training.network import DEPTH, PATCH, WIDTH

Tensors = dict[str, NDArray[np.float16]]


def write_checkpoints(camera: Mapping[str, Tensor], motion: Mapping[str, Tensor], directory: Path) -> None:
    """Write the states of two `DemoModel`s as the checkpoints `motion` and `camera` in `directory`."""
    write_checkpoint(
        directory / "motion", _motion(_full_size(motion)), {"config.json": motion_config(use_sigmoid=True)}
    )
    files = {
        "config.json": camera_config(LABELS, width=WIDTH, depth=DEPTH, heads=BACKBONE_HEADS, patch=PATCH[1]),
        "preprocessor_config.json": PREPROCESSOR,
    }
    write_checkpoint(directory / "camera", _camera(_full_size(camera)), files)


def _full_size(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` for clips of 224 x 224 instead of 112 x 112."""
    projection = "encoder.patch_embed.proj.weight"
    return {name: _spread(value) if name == projection else value for name, value in state.items()}


def _spread(weight: Tensor) -> Tensor:
    """(width, 3, 2, 32, 32) that gives for 2 x 2 pixels what `weight` (width, 3, 2, 16, 16) gives for their mean."""
    return weight.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2) / 4


def _fp16(value: Tensor) -> NDArray[np.float16]:
    return value.detach().to(torch.float16).contiguous().numpy()


def _motion(state: dict[str, Tensor]) -> Tensors:
    tensors = {
        "pad_token": torch.zeros(1, WIDTH),
        "targets_norm": torch.full((1, 3), 3.0),
        "backbone.image_mean": torch.tensor(IMAGE_MEAN).reshape(1, 1, 3, 1, 1),
        "backbone.image_std": torch.tensor(IMAGE_STD).reshape(1, 1, 3, 1, 1),
    }
    for name, value in state.items():
        if name.startswith("encoder."):
            tensors[f"backbone.model.model.{name.removeprefix('encoder.')}"] = value
        elif name.startswith("head."):
            tensors[name] = value
    return {name: _fp16(value) for name, value in tensors.items()}


NAMES = {
    "attn.q_bias": "attention.attention.q_bias",
    "attn.v_bias": "attention.attention.v_bias",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
}
"""Names of a block's parts in the motion checkpoint, and in the camera checkpoint."""


def _camera(state: dict[str, Tensor]) -> Tensors:
    tensors = {}
    for name, value in state.items():
        part = name.removeprefix("encoder.")
        if part.startswith("patch_embed.proj."):
            tensors[f"videomae.embeddings.patch_embeddings.projection.{part.rpartition('.')[2]}"] = value
        elif part.startswith("blocks."):
            _, number, rest = part.split(".", 2)
            layer = f"videomae.encoder.layer.{number}"
            if rest == "attn.qkv.weight":
                for each, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                    tensors[f"{layer}.attention.attention.{each}.weight"] = third
            else:
                key = next(key for key in NAMES if rest.startswith(key))
                tensors[f"{layer}.{rest.replace(key, NAMES[key], 1)}"] = value
        elif part.startswith(("fc_norm.", "classifier.")):
            tensors[part] = value
    return {name: _fp16(value) for name, value in tensors.items()}
