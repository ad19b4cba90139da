"""Image encoders: a CLIP, SigLIP, DINOv2, ViT or ResNet checkpoint of transformers, to embeddings of frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.attention import AttentionForm
from export.checkpoint import read_json, read_tensors
from export.errors import ExportError
from export.fp16 import Fp16Network
from export.frame_towers import ARCHITECTURES, FAMILIES, PLAIN, Dinov2Tower, Tower
from export.loading import load_pretrained
from export.preprocessing import Preprocessing, Size, read_preprocessing

WHAT = "frames checkpoint"


class FrameEncoder(Fp16Network):
    """FRAME_CLIPS uint8 (frames, height, width, 3), RGB, to FRAME_EMBEDDINGS float32 (frames, width)."""

    mean: Tensor
    std: Tensor

    def __init__(self, tower: Tower, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.tower = tower
        self.scale = preprocessing.scale
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(1, 3, 1, 1))

    def forward(self, frame_clips: Tensor) -> Tensor:
        # First, because TensorRT can only cast uint8.
        pixels = frame_clips.float().permute(0, 3, 1, 2) * self.scale
        pixels = ((pixels - self.mean) / self.std).to(self.tower.body.dtype)
        return self.tower(pixels)

    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert the body to `dtype`; the normalisation of frames and what follows the body stay float32."""
        body: nn.Module = self.tower.body
        body.to(dtype)

    def use_attention(self, form: AttentionForm) -> int:
        """Export attention in this form from now on; the number of layers with attention."""
        return self.tower.use_attention(form.value)


@dataclass(frozen=True)
class FrameCheckpoint:
    """An image encoder, and what the server must know of its checkpoint."""

    network: FrameEncoder
    architecture: str
    """`clip`, `siglip`, `dinov2`, `vit` or `resnet`."""
    preprocessing: Preprocessing
    """How frames are prepared."""
    dimensions: int
    """The width of an embedding."""


def load_frames(directory: Path) -> FrameCheckpoint:
    """Read an image encoder from a checkpoint directory; `ExportError` names what is not supported."""
    config = read_json(directory / "config.json")
    architecture = ARCHITECTURES.get(str(config.get("model_type")))
    if architecture is None:
        found = config.get("model_type")
        raise ExportError(f"{WHAT}: model_type is {found!r}, supported are {', '.join(FAMILIES)}")
    preprocessing = read_preprocessing(directory, WHAT)
    model = load_pretrained(architecture.model, directory, read_tensors(directory), WHAT, architecture.not_needed)
    tower = architecture.tower(model)
    tower.use_attention(PLAIN)
    _check_size(tower, preprocessing.frame_size, takes_any_size=architecture.takes_any_size)
    if isinstance(tower, Dinov2Tower):
        _interpolate_positions(tower, preprocessing.frame_size)
    network = FrameEncoder(tower, preprocessing).eval()
    with torch.inference_mode():
        dimensions = network(torch.zeros(1, *preprocessing.frame_size, 3, dtype=torch.uint8)).shape[1]
    return FrameCheckpoint(network, architecture.family, preprocessing, dimensions)


def _check_size(tower: Tower, size: Size, *, takes_any_size: bool) -> None:
    config = tower.body.config
    if getattr(config, "num_channels", 3) != 3:
        raise ExportError(f"{WHAT}: num_channels is {config.num_channels}, frames have 3")
    expected = getattr(config, "image_size", None)
    expected = (expected, expected) if isinstance(expected, int) else tuple(expected or ())
    if not takes_any_size and size != expected:
        raise ExportError(
            f"{WHAT}: preprocessor_config.json makes frames of {size[0]} x {size[1]}, "
            f"config.json says image_size {' x '.join(map(str, expected))}"
        )


def _interpolate_positions(tower: Dinov2Tower, size: Size) -> None:
    """Compute the positions for frames of `size` once, as transformers does in every call."""
    embeddings: Any = tower.body.embeddings
    with torch.no_grad():
        patches = embeddings.patch_embeddings(torch.zeros(1, 3, *size))
        tokens = torch.cat([embeddings.cls_token, patches], dim=1)
        positions = embeddings.interpolate_pos_encoding(tokens, *size)
    embeddings.position_embeddings = nn.Parameter(positions)
    embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings
