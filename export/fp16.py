"""Networks in fp16 for GPUs; `export.attention` has the forms of their attention."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.attention import AttentionForm


class Fp16Network(nn.Module, ABC):
    """A network that has an fp16 form for GPUs."""

    @abstractmethod
    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert to `dtype`, except the layers that lose too much accuracy."""

    @abstractmethod
    def use_attention(self, form: AttentionForm) -> int:
        """Export attention in this form from now on; the number of layers with attention."""


class PatchProduct(nn.Module):
    """A 3D convolution whose stride equals its kernel: (batch, 3, frames, height, width) to (batch, width, ...).

    A matrix product, because cuDNN is slow at 3D convolutions in fp16.
    """

    def __init__(self, convolution: nn.Conv3d) -> None:
        super().__init__()
        self.kernel: Any = convolution.kernel_size
        self.weight = nn.Parameter(convolution.weight.flatten(1))
        self.bias = convolution.bias

    def forward(self, video: Tensor) -> Tensor:
        patches = video
        for axis, size in enumerate(self.kernel):
            # (batch, 3, frames, height, width) to (batch, 3, frames / 2, 2, height / 16, 16, width / 16, 16)
            patches = patches.unflatten(2 + 2 * axis, (-1, size))
        patches = patches.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)
        return functional.linear(patches, self.weight, self.bias).movedim(-1, 1)
