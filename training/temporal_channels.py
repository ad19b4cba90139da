"""Temporal channels: adds channels that encode the time of a token to a trained network, and heads that use them.

Patches are ten times as strong as the position table, and blocks overwrite the rest of it. Therefore some waves of the
table get reserved channels, which no layer writes to. With them, some heads of every block attend to all tokens of
their own pair of frames, or of the pair before. The network can then separate what a whole pair shares (camera motion,
brightness, sharpness) from what is particular to one token.
"""

import math

import torch
from torch import Tensor, nn

from export.motion_network import BACKBONE_HEADS, Block
from training.network import ROWS, WIDTH, DemoModel

PERIODS = (35, 34, 28, 25, 23, 21)
"""Indices of the table's waves: six, chosen greedily, that best represent functions of the pair of frames."""
TEMPORAL_CHANNELS = [2 * pair + part for pair in PERIODS for part in range(2)]
CONSTANT = 33
"""A channel that is almost constant, as a reference for the others."""
RESERVED = [*TEMPORAL_CHANNELS, CONSTANT]
LEVEL = 20.0
"""Value of the constant channel."""
NORM_GAIN = 10.0
"""Weight of the layer norms for the temporal channels."""
SHARPNESS = 8.0
"""How much a head prefers its pair of frames, in logits, for a token of median strength."""
PAIR_OFFSETS = (0, -1)
"""Offsets of the pairs that the added heads attend to: a token's own pair, and the one before."""
PAIRS = 8


def restore_temporal_channels(model: DemoModel) -> None:
    """Remove from the reserved channels what training has written to them."""
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    assert projection.bias is not None
    with torch.no_grad():
        projection.weight[RESERVED] = 0
        projection.bias[RESERVED] = 0
        projection.bias[CONSTANT] = LEVEL
        for block in model.encoder.blocks:
            assert isinstance(block, Block)
            for layer in (block.attn.proj, block.mlp.fc2):
                layer.weight[RESERVED] = 0
                layer.bias[RESERVED] = 0


def add_temporal_channels(model: DemoModel, video: Tensor) -> None:
    """Reserve the channels in `model`, in place.

    `video` (clips, 16, 112, 112, 3) from 0 to 255 gives the previous mean of the channels, which biases keep.
    """
    with torch.no_grad():
        x = model.patches(video, torch.arange(PAIRS))
        for block in model.encoder.blocks:
            assert isinstance(block, Block)
            attention = block.attn
            mean = block.norm1(x).mean((0, 1))[RESERVED]
            query, _, value = (attention.qkv.weight[:, RESERVED] @ mean).chunk(3)
            x = x + attention(block.norm1(x))
            after = block.norm2(x).mean((0, 1))[RESERVED]
            x = x + block.mlp(block.norm2(x))
            attention.q_bias.add_(query)
            attention.v_bias.add_(value)
            block.mlp.fc1.bias.add_(block.mlp.fc1.weight[:, RESERVED] @ after)
            attention.qkv.weight[:, RESERVED], block.mlp.fc1.weight[:, RESERVED] = 0, 0
            for norm in (block.norm1, block.norm2):
                norm.weight[RESERVED], norm.bias[RESERVED] = NORM_GAIN, 0
                norm.weight[CONSTANT] = 1
        last = model.encoder.fc_norm
        mean = last(x.mean(1)).mean(0)[RESERVED]
        last.weight[RESERVED] = 0
        last.bias[RESERVED] = mean
    restore_temporal_channels(model)


def _pair_code(pair: Tensor) -> Tensor:
    """(tokens, 8) codes of the pairs `pair` (tokens,): inner products are 1 for the same pair and 0 for others."""
    turn = 2 * math.pi * pair / PAIRS
    waves = [math.sqrt(2) * wave(k * turn) for k in (1, 2, 3) for wave in (torch.cos, torch.sin)]
    return torch.stack([torch.ones_like(turn), *waves, torch.cos(4 * turn)], dim=1) / math.sqrt(PAIRS)


def add_temporal_heads(model: DemoModel, video: Tensor) -> dict[int, list[int]]:
    """Make the least used heads of every block attend to pairs of frames, in place; returns these heads by block.

    Keys and queries are least-squares fits from the reserved channels over `video` (clips, 16, 112, 112, 3).
    """
    size = WIDTH // BACKBONE_HEADS
    pair = (torch.arange(PAIRS * ROWS * ROWS) // (ROWS * ROWS)).double()
    chosen: dict[int, list[int]] = {}
    with torch.no_grad():
        x = model.patches(video, torch.arange(PAIRS))
        for index, block in enumerate(model.encoder.blocks):
            assert isinstance(block, Block)
            attention = block.attn
            normed = block.norm1(x)
            inputs = normed[..., RESERVED].flatten(0, 1).double()
            inverse_strength = 1 / x.std(-1).flatten().double()
            inverse_strength /= inverse_strength.median()
            heads = _least_used_heads(block, normed)[: len(PAIR_OFFSETS)]
            chosen[index] = heads
            gram = inputs.T @ inputs + 1e-4 * len(inputs) * torch.eye(len(RESERVED)).double()
            wanted = [_pair_code(pair + by) for by in (0, *PAIR_OFFSETS)]
            key, *queries = (
                torch.linalg.solve(gram, inputs.T @ (inverse_strength[:, None] * each.repeat(len(x), 1)))
                for each in wanted
            )
            strength = math.sqrt(SHARPNESS * math.sqrt(size))
            for head, query in zip(heads, queries, strict=True):
                rows = slice(head * size, (head + 1) * size)
                weight_q, weight_k, _ = attention.qkv.weight.split(WIDTH)
                weight_q[rows] = 0
                weight_k[rows] = 0
                attention.q_bias[rows] = 0
                first = head * size
                # The constant is 1 - PAIRS: logit 0 for the same pair, whatever the strength, and negative for others.
                scale = torch.ones(PAIRS).double()
                scale[0] = 1 - PAIRS
                weight_q[first : first + PAIRS, RESERVED] = (strength * query * scale).T.float()
                weight_k[first : first + PAIRS, RESERVED] = (strength * key).T.float()
            x = block(x)
    return chosen


def _least_used_heads(block: Block, normed: Tensor) -> list[int]:
    """All heads, in the order of rising standard deviation of their output."""
    size = WIDTH // BACKBONE_HEADS
    attention = block.attn
    weight = attention.proj.weight.clone()
    bias = attention.proj.bias.clone()
    attention.proj.bias.zero_()
    used = []
    for head in range(BACKBONE_HEADS):
        attention.proj.weight.zero_()
        columns = slice(head * size, (head + 1) * size)
        attention.proj.weight[:, columns] = weight[:, columns]
        used.append(float(attention(normed).flatten(0, 1).std(0).norm()))
    attention.proj.weight.copy_(weight)
    attention.proj.bias.copy_(bias)
    return sorted(range(BACKBONE_HEADS), key=used.__getitem__)
