"""What the networks compute: apart from what runs them, which not every machine has."""

TOKENS = 8 * 14 * 14
SHAPES = {"motion_backbone": (12, 768), "camera_classifier": (24, 1024)}
"""Depth and width of the published networks."""


def clip_flop(network: str) -> float:
    """Floating-point operations of one clip.

    Each block multiplies every token by 12 width^2 weights, queries by keys, and attention weights by values. The
    embedding of patches of 2 x 16 x 16 x 3 comes once.
    """
    depth, width = SHAPES[network]
    blocks = depth * (24 * width**2 * TOKENS + 4 * TOKENS**2 * width)
    return blocks + 2 * TOKENS * (2 * 16 * 16 * 3) * width
