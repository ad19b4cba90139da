"""Eyes for focus: fine waves in the first layer of a network that has learned without them.

What a blur takes away are waves of two to four pixels; those of `training.start` are five and longer. As many of the
channels as they need, and of the first hidden units, are taken from what the network misses least. How strong the
waves of each length are is added up in a direction of its own, where little else is written, and the heads that look
at whole pairs of frames (`training.temporal_channels`) gather it.
"""

import math

import torch
from torch import Tensor, nn

from export.motion_network import BACKBONE_HEADS, Block
from training.losses import TUBELETS
from training.network import WIDTH, DemoModel
from training.start import ANGLES, FIRST_WAVE, wave_in_patch
from training.temporal_channels import HELD

FINE = (2.4, 3.0, 3.8)
FINE_ANGLES = 4
COARSE = 2
"""How many of the lengths of `training.start` are added up beside them: a blur takes less of those."""
STRENGTH = 3.0
"""The deviation of a channel, and of what is added up."""
SLOPE = 2.0
"""What a hidden unit takes of its channel, whose deviation is 1 there."""


def put_fine_waves(model: DemoModel, video: Tensor, gathering: list[int]) -> None:
    """Replace what `model` misses least on `video` (clips, 16, 112, 112, 3) from 0 to 255.

    Both frames of a pair get a wave each for every length and orientation, in cosine or sine by turns. Two hidden units
    tell how strong it is. The heads `gathering` of the second block gather what they say.
    """
    projection, block = model.encoder.patch_embed.proj, model.encoder.blocks[0]
    assert isinstance(projection, nn.Conv3d)
    assert isinstance(block, Block)
    assert projection.bias is not None
    waves = [(band, angle, frame) for band in range(len(FINE)) for angle in range(FINE_ANGLES) for frame in range(2)]
    with torch.no_grad():
        channels = _least_missed(model, video)[: len(waves)]
        for channel, (band, angle, frame) in zip(channels, waves, strict=True):
            direction = (angle + 0.5 * (band % 2)) * math.pi / FINE_ANGLES
            wave = torch.cos if (angle + frame) % 2 else torch.sin
            projection.weight[channel] = 0
            projection.weight[channel, :, frame] = wave_in_patch(FINE[band], direction, wave)
            projection.bias[channel] = 0
        found = projection(model.normalised(video))[:, channels]
        projection.weight[channels] *= (STRENGTH / found.std(dim=(0, 2, 3, 4)))[:, None, None, None, None]
        projection.bias[channels] = -model.encoder.positions[:, channels].mean(0)
        bands = [
            [c for c, (band, _, _) in zip(channels, waves, strict=True) if band == each] for each in range(len(FINE))
        ]
        for band in range(COARSE):
            first = FIRST_WAVE + 4 * ANGLES * band
            bands.append([first + 4 * angle + 2 * frame for angle in range(ANGLES) for frame in range(2)])
        quiet = _add_up(model, video, bands)
        _gather(model, video, quiet, len(bands), gathering)


def _least_missed(model: DemoModel, video: Tensor) -> list[int]:
    """The channels below the waves, those first without which embeddings change least."""
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    assert projection.bias is not None
    tubelets = torch.arange(TUBELETS)
    whole = model.embeddings(model.tokens(video, tubelets))
    means = projection(model.normalised(video)).mean(dim=(0, 2, 3, 4))
    missed = {}
    for channel in sorted(set(range(FIRST_WAVE)) - set(HELD)):
        weight, bias = projection.weight[channel].clone(), projection.bias[channel].clone()
        projection.weight[channel] = 0
        projection.bias[channel] = means[channel]
        missed[channel] = float((model.embeddings(model.tokens(video, tubelets)) - whole).square().mean())
        projection.weight[channel], projection.bias[channel] = weight, bias
    return sorted(missed, key=missed.__getitem__)


def _quietest(x: Tensor) -> Tensor:
    """(width, directions) in which `x` (clips, tokens, width) deviates, least first, without the clock's channels."""
    free = [channel for channel in range(WIDTH) if channel not in HELD]
    directions = torch.zeros(WIDTH, len(free))
    directions[free] = torch.linalg.eigh(torch.cov(x[..., free].flatten(0, 1).T)).eigenvectors
    return directions


def _add_up(model: DemoModel, video: Tensor, bands: list[list[int]]) -> Tensor:
    """Let hidden units of the first block add up how strong the channels of each band are; `_quietest` after it."""
    block = model.encoder.blocks[0]
    assert isinstance(block, Block)
    mlp = block.mlp
    x = model.patches(video, torch.arange(TUBELETS))
    x = x + block.attn(block.norm1(x))
    normed = block.norm2(x)
    used = nn.functional.gelu(mlp.fc1(normed)).flatten(0, 1).std(0) * mlp.fc2.weight.norm(dim=0)
    units = used.argsort()[: 2 * sum(map(len, bands))].tolist()
    mlp.fc1.weight[units], mlp.fc1.bias[units], mlp.fc2.weight[:, units] = 0, 0, 0
    quiet = _quietest(x + mlp(normed))
    mean, deviation = normed.flatten(0, 1).mean(0), normed.flatten(0, 1).std(0)
    before = mlp(normed)
    left = iter(units)
    for index, channels in enumerate(bands):
        own = []
        for channel in channels:
            for sign in (1, -1):
                unit = next(left)
                own.append(unit)
                slope = sign * SLOPE / deviation[channel]
                mlp.fc1.weight[unit, channel], mlp.fc1.bias[unit] = slope, -slope * mean[channel]
                mlp.fc2.weight[:, unit] = quiet[:, index]
        told = ((mlp(normed) - before) @ quiet[:, index]).flatten()
        mlp.fc2.weight[:, own] *= STRENGTH / told.std()
        mlp.fc2.bias.sub_(quiet[:, index] * told.mean() * STRENGTH / told.std())
        before = mlp(normed)
    return quiet


def _gather(model: DemoModel, video: Tensor, quiet: Tensor, bands: int, heads: list[int]) -> None:
    block = model.encoder.blocks[1]
    assert isinstance(block, Block)
    size = WIDTH // BACKBONE_HEADS
    attention = block.attn
    x = model.layers(video, torch.arange(TUBELETS))[0]
    normed = block.norm1(x)
    for index, head in enumerate(heads):
        rows = slice(2 * WIDTH + head * size, 2 * WIDTH + head * size + bands)
        columns = slice(head * size, head * size + bands)
        reading = (quiet[:, :bands] / block.norm1.weight[:, None]).T
        reading[:, HELD] = 0
        told = normed @ reading.T
        deviation, mean = told.flatten(0, 1).std(0), told.flatten(0, 1).mean(0)
        attention.qkv.weight[rows] = reading / deviation[:, None]
        attention.v_bias[columns] = -mean / deviation
        attention.proj.weight[:, columns] = 0
        before = attention(normed)
        writing = quiet[:, bands * (index + 1) : bands * (index + 2)]
        attention.proj.weight[:, columns] = writing
        gathered = (attention(normed) - before) @ writing
        attention.proj.weight[:, columns] *= STRENGTH / gathered.flatten(0, 1).std(0)
