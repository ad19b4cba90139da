"""What the networks are made of where a GPU computes them in fp16.

- Attention as one node. PyTorch's exporter writes it as two products of matrices with a softmax between them; ONNX
  Runtime has one CUDA kernel for all of it, the softmax accumulating in float32, for a node
  `com.microsoft.MultiHeadAttention`.
- The patch embedding as a product of matrices: cuDNN is slow at 3D convolutions in half precision.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

FUSED = "onnxruntime_multi_head_attention"
"""The name by which transformers knows `multi_head_attention`."""


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of (batch, tokens, width) tensors, the same shape out, as one ONNX node; for exporting only."""
    return torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [query, key, value],
        {"num_heads": heads},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )


class Halvable(nn.Module, ABC):
    """A network that is large enough to be computed in fp16 on a GPU."""

    @abstractmethod
    def to_half(self, dtype: torch.dtype = torch.float16) -> None:
        """Compute in `dtype` from here on, all but what rounds badly."""

    @abstractmethod
    def fuse_attention(self) -> int:
        """Take `multi_head_attention` from here on, and be exported only; the number of layers."""


class PatchProduct(nn.Module):
    """A 3D convolution whose stride is its kernel: (batch, 3, frames, height, width) to (batch, width, ...)."""

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
    module: nn.Module,  # noqa: ARG001 - what transformers hands over
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
