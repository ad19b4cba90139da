"""The image encoders that transformers has, each as a body that can be fp16 and a short end that stays float32.

`ARCHITECTURES` maps the `model_type` of a `config.json` to how its checkpoint is loaded and what of it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    CLIPModel,
    CLIPVisionModelWithProjection,
    Dinov2Model,
    PreTrainedModel,
    ResNetModel,
    SiglipModel,
    SiglipVisionModel,
    ViTModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from export.errors import ExportError

PLAIN = "scaled_dot_product_attention_without_mask"
"""PyTorch's attention under a name that transformers makes no mask for: an export would write one of ones."""
AttentionInterface.register(PLAIN, sdpa_attention_forward)


class Tower(nn.Module):
    """Normalised pixels float32 (frames, 3, height, width) to embeddings float32 (frames, width)."""

    body: PreTrainedModel

    def use_attention(self, implementation: str) -> int:
        """Choose the attention of all layers by its name in transformers; the number of layers."""
        self.body.set_attn_implementation(implementation)
        return self.body.config.num_hidden_layers


class ClipTower(Tower):
    """CLIP: the projected class token, which transformers calls `image_embeds`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body = model.vision_model
        self.projection: nn.Module = model.visual_projection

    def forward(self, pixels: Tensor) -> Tensor:
        return self.projection(self.body(pixels).pooler_output.float())


class SiglipTower(Tower):
    """SigLIP: the tokens through the pooling head, which is what `get_image_features` of transformers returns."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        vision: Any = getattr(model, "vision_model", model)
        if not vision.use_head:
            raise ExportError("frames checkpoint: vision_use_head is False, so it has no embedding of a whole frame")
        self.head: nn.Module = vision.head
        vision.use_head = False
        del vision.head
        self.body = vision

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.body(pixels).last_hidden_state.float())


class VitTower(Tower):
    """ViT: the class token through the pooler."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.pooler: nn.Module = model.pooler
        model.pooler = None
        self.body = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.pooler(self.body(pixels).last_hidden_state.float())


class Dinov2Tower(Tower):
    """DINOv2: the class token after the last normalisation, which transformers calls `pooler_output`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.body(pixels).pooler_output.float()


class ResNetTower(Tower):
    """ResNet: the mean over the last feature map."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body = model

    def forward(self, pixels: Tensor) -> Tensor:
        # As its pooler, but always in float32: a sum in fp16 loses too much.
        return self.body(pixels).last_hidden_state.float().mean((2, 3))

    def use_attention(self, implementation: str) -> int:  # noqa: ARG002
        """It has none."""
        return 0


@dataclass(frozen=True)
class Architecture:
    """How a checkpoint is loaded, and what of it is used."""

    model: type[PreTrainedModel]
    """transformers' class for the whole checkpoint."""
    tower: Callable[[Any], Tower]
    """Takes what is used out of the loaded model."""
    family: str
    """For `weights.json`."""
    takes_any_size: bool = False
    """Whether frames may have another size than `image_size` of `config.json`."""
    not_needed: tuple[str, ...] = ()
    """Beginnings of the names of tensors that such checkpoints may have and embeddings do not need."""


ARCHITECTURES = {
    "clip": Architecture(CLIPModel, ClipTower, "clip"),
    "clip_vision_model": Architecture(CLIPVisionModelWithProjection, ClipTower, "clip"),
    "siglip": Architecture(SiglipModel, SiglipTower, "siglip"),
    "siglip_vision_model": Architecture(SiglipVisionModel, SiglipTower, "siglip"),
    "dinov2": Architecture(Dinov2Model, Dinov2Tower, "dinov2", takes_any_size=True, not_needed=("classifier.",)),
    "vit": Architecture(ViTModel, VitTower, "vit", not_needed=("classifier.",)),
    "resnet": Architecture(ResNetModel, ResNetTower, "resnet", takes_any_size=True, not_needed=("classifier.",)),
}
FAMILIES = tuple(dict.fromkeys(architecture.family for architecture in ARCHITECTURES.values()))
