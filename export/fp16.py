"""Layers of the networks in fp16 on GPUs.

- Attention is one node, `com.microsoft.MultiHeadAttention`, for which ONNX Runtime has a CUDA kernel whose softmax
  accumulates in float32. PyTorch's exporter would write two matrix products and a softmax.
- The patch embedding is a matrix product, because cuDNN is slow at 3D convolutions in fp16.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

FUSED = "onnxruntime_multi_head_attention"
"""The name of `multi_head_attention` in transformers."""


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention as one ONNX node, for export only; all tensors are (batch, tokens, width)."""
    return torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [query, key, value],
        {"num_heads": heads},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )


class Fp16Network(nn.Module, ABC):
    """A network that has an fp16 form for GPUs."""

    @abstractmethod
    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert to `dtype`, except the layers that lose too much accuracy."""

    @abstractmethod
    def fuse_attention(self) -> int:
        """Use `multi_head_attention`, after which the network can only be exported; the number of layers."""


class PatchProduct(nn.Module):
    """A 3D convolution whose stride equals its kernel: (batch, 3, frames, height, width) to (batch, width, ...)."""

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


def _for_transformers(
    module: nn.Module,  # noqa: ARG001 - transformers passes it
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:
    """`multi_head_attention` for transformers: (batch, heads, tokens, size) in, (batch, tokens, heads, size) out."""
    if attention_mask is not None:
        raise NotImplementedError("attention with a mask")
    heads = query.shape[1]
    query, key, value = (tensor.transpose(1, 2).flatten(2) for tensor in (query, key, value))
    return multi_head_attention(query, key, value, heads).unflatten(-1, (heads, -1)), None


AttentionInterface.register(FUSED, _for_transformers)
