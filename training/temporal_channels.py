"""A sense of time for a network that has learned without: channels that tell when a token is, heads that use it.

Patches are ten times as strong as the table of positions, and blocks write over what is left of it. So some of the
table's waves get channels for themselves, which nothing else is written into, and some heads of every block look with
their help at all tokens of their own pair of frames, or of the one before: what a pair has in common, how the camera
moves, how bright and how sharp it is, can then be told from what is particular to a token.
"""

import math

import torch
from torch import Tensor, nn

from export.motion_network import BACKBONE_HEADS, Block
from training.network import ROWS, WIDTH, DemoModel

PERIODS = (35, 34, 28, 25, 23, 21)
"""Which waves of the table: the first six of those that make up functions of the pair of frames best, by greed."""
CLOCK = [2 * pair + part for pair in PERIODS for part in range(2)]
CONSTANT = 33
"""A channel that is all but constant, against which others are weighed."""
HELD = [*CLOCK, CONSTANT]
LEVEL = 20.0
LOUDNESS = 10.0
"""What the layer norms make of the clock's channels, beside others."""
SHARPNESS = 8.0
"""By how many logits a head prefers its pair of frames, in a token of middling strength."""
LOOKING = (0, -1)
"""At which pair of frames, from a token's own, heads of every block look."""
PAIRS = 8


def keep_temporal_channels(model: DemoModel) -> None:
    """Take out of the clock's channels what learning has written into them."""
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    assert projection.bias is not None
    with torch.no_grad():
        projection.weight[HELD] = 0
        projection.bias[HELD] = 0
        projection.bias[CONSTANT] = LEVEL
        for block in model.encoder.blocks:
            assert isinstance(block, Block)
            for layer in (block.attn.proj, block.mlp.fc2):
                layer.weight[HELD] = 0
                layer.bias[HELD] = 0


def put_temporal_channels(model: DemoModel, video: Tensor) -> None:
    """Give `model` the channels.

    `video` (clips, 16, 112, 112, 3) from 0 to 255 says what it made of them until now, of which the mean is kept.
    """
    with torch.no_grad():
        x = model.patches(video, torch.arange(PAIRS))
        for block in model.encoder.blocks:
            assert isinstance(block, Block)
            attention = block.attn
            mean = block.norm1(x).mean((0, 1))[HELD]
            query, _, value = (attention.qkv.weight[:, HELD] @ mean).chunk(3)
            x = x + attention(block.norm1(x))
            behind = block.norm2(x).mean((0, 1))[HELD]
            x = x + block.mlp(block.norm2(x))
            attention.q_bias.add_(query)
            attention.v_bias.add_(value)
            block.mlp.fc1.bias.add_(block.mlp.fc1.weight[:, HELD] @ behind)
            attention.qkv.weight[:, HELD], block.mlp.fc1.weight[:, HELD] = 0, 0
            for norm in (block.norm1, block.norm2):
                norm.weight[HELD], norm.bias[HELD] = LOUDNESS, 0
                norm.weight[CONSTANT] = 1
        last = model.encoder.fc_norm
        mean = last(x.mean(1)).mean(0)[HELD]
        last.weight[HELD] = 0
        last.bias[HELD] = mean
    keep_temporal_channels(model)


def _telling(pair: Tensor) -> Tensor:
    """(tokens, 8) functions of `pair` (tokens,), whose inner products are 1 for the same one and 0 for another."""
    turn = 2 * math.pi * pair / PAIRS
    waves = [math.sqrt(2) * wave(k * turn) for k in (1, 2, 3) for wave in (torch.cos, torch.sin)]
    return torch.stack([torch.ones_like(turn), *waves, torch.cos(4 * turn)], dim=1) / math.sqrt(PAIRS)


def put_looking_heads(model: DemoModel, video: Tensor) -> dict[int, list[int]]:
    """Make heads of every block look at pairs of frames; which they are, by block.

    Keys and queries are read off the clock's channels by least squares over `video` (clips, 16, 112, 112, 3).
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
            told = normed[..., HELD].flatten(0, 1).double()
            loudness = 1 / x.std(-1).flatten().double()
            loudness /= loudness.median()
            heads = _least_used_heads(block, normed)[: len(LOOKING)]
            chosen[index] = heads
            gram = told.T @ told + 1e-4 * len(told) * torch.eye(len(HELD)).double()
            wanted = [_telling(pair + by) for by in (0, *LOOKING)]
            key, *queries = (
                torch.linalg.solve(gram, told.T @ (loudness[:, None] * each.repeat(len(x), 1))) for each in wanted
            )
            strength = math.sqrt(SHARPNESS * math.sqrt(size))
            for head, query in zip(heads, queries, strict=True):
                rows = slice(head * size, (head + 1) * size)
                weight_q, weight_k, _ = attention.qkv.weight.split(WIDTH)
                weight_q[rows] = 0
                weight_k[rows] = 0
                attention.q_bias[rows] = 0
                first = head * size
                # 1 less for the constant: nothing for the same pair, however loud a token is, and less for others.
                scale = torch.ones(PAIRS).double()
                scale[0] = 1 - PAIRS
                weight_q[first : first + PAIRS, HELD] = (strength * query * scale).T.float()
                weight_k[first : first + PAIRS, HELD] = (strength * key).T.float()
            x = block(x)
    return chosen


def _least_used_heads(block: Block, normed: Tensor) -> list[int]:
    """Those first whose output deviates least."""
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
