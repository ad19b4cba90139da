"""Encoders of autoencoders: a checkpoint of diffusers' `AutoencoderKL`, to latents of frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.attention import AttentionForm
from export.autoencoder_layers import Encoder, Residual
from export.checkpoint import load_exactly, read_json, read_tensors
from export.errors import ExportError
from export.fp16 import Fp16Network
from export.random_autoencoder import TENSORS
from video.measures.picture_form import SIDE

WHAT = "autoencoder checkpoint"
NOT_NEEDED = ("decoder.", "quant_conv.", "post_quant_conv.")
"""Beginnings of the names of tensors that come after the encoder."""
OLDER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What older checkpoints call the parts of their attention; diffusers renames them, too."""
BLOCK = "DownEncoderBlock2D"
"""The kind of a block, of those that diffusers has."""
_ATTENTION = "encoder.mid_block.attentions.0."


class FrameAutoencoder(Fp16Network):
    """FRAMES uint8 (frames, 240, 240, 3), RGB, to LATENTS float32 (frames, channels, height, width).

    The latents are what `AutoencoderKL.encoder` of diffusers returns for levels from 0 to 1: means and logarithms of
    variances, before `quant_conv`.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, frames: Tensor) -> Tensor:
        # First, because TensorRT can only cast uint8.
        return self.encoder(frames.float().permute(0, 3, 1, 2) * (1 / 255))

    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert the convolutions of the residual blocks to `dtype`."""
        for layer in self.encoder.modules():
            if isinstance(layer, Residual):
                layer.convert(dtype)

    def use_attention(self, form: AttentionForm) -> int:  # noqa: ARG002
        """It has no other form: one head as wide as the feature map, in float32, is little of the arithmetic."""
        return 0


@dataclass(frozen=True)
class AutoencoderCheckpoint:
    """The encoder of an autoencoder, and what the server must know of its checkpoint."""

    network: FrameAutoencoder
    shape: tuple[int, int, int]
    """Channels, height and width of a frame's latents."""


def load_autoencoder(directory: Path) -> AutoencoderCheckpoint:
    """Read the encoder of an autoencoder from a checkpoint directory; `ExportError` names what is not supported."""
    encoder, shape = _encoder(read_json(directory / "config.json"))
    network = FrameAutoencoder(encoder).eval()
    tensors = {_name(name): tensor for name, tensor in read_tensors(directory, TENSORS).items()}
    load_exactly(network, {name: each for name, each in tensors.items() if not name.startswith(NOT_NEEDED)}, WHAT)
    return AutoencoderCheckpoint(network, shape)


def _encoder(config: dict[str, Any]) -> tuple[Encoder, tuple[int, int, int]]:
    """The encoder that a `config.json` describes, and the shape of its latents; gaps have diffusers' defaults."""
    if config.get("_class_name") != "AutoencoderKL":
        raise ExportError(f"{WHAT}: _class_name is {config.get('_class_name')!r}, supported is AutoencoderKL")
    widths = config.get("block_out_channels", [64])
    layers, latents = config.get("layers_per_block", 1), config.get("latent_channels", 4)
    groups = config.get("norm_num_groups", 32)
    for name, value in (("layers_per_block", layers), ("latent_channels", latents), ("norm_num_groups", groups)):
        if not _is_count(value):
            raise ExportError(f"{WHAT}: {name} is {value!r}, not a whole number from 1 on")
    fits = isinstance(widths, list) and all(_is_count(width) and not width % groups for width in widths)
    if not fits or not widths:
        raise ExportError(f"{WHAT}: block_out_channels is {widths!r}, not multiples of norm_num_groups ({groups})")
    supported_values = {"in_channels": 3, "act_fn": "silu", "down_block_types": [BLOCK] * len(widths)}
    defaults = {"in_channels": 3, "act_fn": "silu", "down_block_types": [BLOCK]}
    for name, supported in supported_values.items():
        found = config.get(name, defaults[name])
        if found != supported:
            raise ExportError(f"{WHAT}: {name} is {found!r}, supported is {supported!r}")
    attends = config.get("mid_block_add_attention", True)
    side = SIDE >> (len(widths) - 1)
    return Encoder(tuple(widths), layers, groups, 2 * latents, attends=bool(attends)), (2 * latents, side, side)


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _name(name: str) -> str:
    """The present name of a tensor."""
    part, separator, rest = name.removeprefix(_ATTENTION).partition(".")
    if not name.startswith(_ATTENTION) or part not in OLDER_NAMES:
        return name
    return f"{_ATTENTION}{OLDER_NAMES[part]}{separator}{rest}"
