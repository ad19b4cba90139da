"""The forms that attention takes in the fp16 and 8-bit graphs, one for each runtime that fuses it into one kernel.

PyTorch's exporter would write two matrix products and a softmax, with the scale divided between query and key.
"""

from enum import StrEnum
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface


class AttentionForm(StrEnum):
    """A form of attention in an exported graph; the values are the forms' names in transformers."""

    OPENVINO_8_BITS = "openvino_8_bits_attention"
    """`scaled_scores_attention`: nothing is between the linear layers and the first product, so that queries and keys
    are quantized where the linear layers write them."""
    ONNX_RUNTIME = "onnxruntime_attention"
    """`multi_head_attention`: one node, whose kernels for GPUs accumulate in float32."""
    TENSORRT = "tensorrt_attention"
    """`scaled_query_attention` in the type of its inputs."""
    TENSORRT_FLOAT32 = "tensorrt_float32_attention"
    """`scaled_query_attention` of float32 casts: TensorRT 11.3 and later read fp16 and accumulate in float32."""


def attend(form: AttentionForm, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention in a form, for self-attention without a mask; all tensors are (batch, heads, tokens, size)."""
    if form is AttentionForm.ONNX_RUNTIME:
        heads = query.shape[1]
        query, key, value = (tensor.transpose(1, 2).flatten(2) for tensor in (query, key, value))
        return multi_head_attention(query, key, value, heads).unflatten(-1, (heads, -1)).transpose(1, 2)
    if form is AttentionForm.OPENVINO_8_BITS:
        return scaled_scores_attention(query, key, value)
    return scaled_query_attention(query, key, value, upcast=form is AttentionForm.TENSORRT_FLOAT32)


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention as `com.microsoft.MultiHeadAttention`, for export only; all tensors are (batch, tokens, width)."""
    return torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [query, key, value],
        {"num_heads": heads},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )


def scaled_scores_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention that scales the scores, not the query; all tensors are (batch, heads, tokens, size)."""
    return ((query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5).softmax(-1) @ value


def scaled_query_attention(query: Tensor, key: Tensor, value: Tensor, *, upcast: bool) -> Tensor:
    """Attention as TensorRT fuses it: the query is scaled before the first product, nothing is between the products but
    the softmax, and with `upcast` the casts are next to the products.

    All tensors are (batch, heads, tokens, size). From NVIDIA's documentation of TensorRT 11, "Fused Attention".
    """
    scaled = query * query.shape[-1] ** -0.5
    if upcast:
        scaled, key, value = scaled.float(), key.float(), value.float()
    weights = (scaled @ key.transpose(-1, -2)).softmax(-1)
    return (weights @ value).to(query.dtype)


def _for_transformers(
    form: AttentionForm,
    module: Any,  # noqa: ARG001 - transformers passes it
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:
    """`attend` as transformers calls it: (batch, heads, tokens, size) in, (batch, tokens, heads, size) out."""
    if attention_mask is not None:
        raise NotImplementedError("attention with a mask")
    return attend(form, query, key, value).transpose(1, 2), None


for _form in AttentionForm:
    AttentionInterface.register(_form.value, partial(_for_transformers, _form))
