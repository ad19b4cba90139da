"""How fast this machine multiplies matrices, and how many operations the networks are."""

import time

import torch

PRODUCT_SIZE = 4096
SECONDS = 3.0


def matrix_rate(dtype: torch.dtype) -> float:
    """The best rate of a large matrix product in `dtype`, in floating-point operations a second."""
    left, right = (torch.randn(PRODUCT_SIZE, PRODUCT_SIZE).to(dtype) for _ in range(2))
    best, ends = 0.0, time.perf_counter() + SECONDS
    with torch.inference_mode():
        left @ right
        while time.perf_counter() < ends:
            started = time.perf_counter()
            left @ right
            best = max(best, 2 * PRODUCT_SIZE**3 / (time.perf_counter() - started))
    return best


def vision_transformer_flops(width: int, depth: int, tokens: int = 1568, patch: int = 2 * 16 * 16 * 3) -> float:
    """Operations of one clip: a multiplication and an addition are two; norms, softmax and GELU are left out."""
    linear = depth * 12 * width**2 * 2 * tokens  # q, k, v, projection: 4 width^2; the MLP: 8 width^2
    attention = depth * 4 * tokens**2 * width  # scores and their use, 2 tokens^2 width each
    return linear + attention + 2 * tokens * patch * width
