"""Blur filters: adds filters for fine waves to the first layer of a trained network, so that it can see a blur.

A blur removes waves of two to four pixels, and the filters of `training.start` respond to waves of five pixels and
more. The new filters replace the channels and hidden units that matter least. The first block sums the strength of
all waves of one length into a direction of the embedding that carries little else, and heads that attend to a whole
pair of frames (`training.temporal_channels`) average it.
"""

import math

import torch
from torch import Tensor, nn

from export.motion_network import BACKBONE_HEADS, Block
from training.losses import TUBELETS
from training.network import WIDTH, DemoModel
from training.start import ANGLES, FIRST_WAVE, wave_in_patch
from training.temporal_channels import RESERVED

FINE = (2.4, 3.0, 3.8)
"""Wavelengths of the new filters, in pixels."""
FINE_ANGLES = 4
COARSE = 2
"""How many wavelengths of `training.start` are summed as well; a blur removes less of these."""
STRENGTH = 3.0
"""Standard deviation of a new channel and of a sum."""
SLOPE = 2.0
"""Weight of a hidden unit for its channel, which has standard deviation 1 there."""


def add_blur_filters(model: DemoModel, video: Tensor, gathering: list[int]) -> None:
    """Add the filters to `model` in place; `video` (clips, 16, 112, 112, 3) from 0 to 255 sets their scale.

    Each frame of a pair gets one wave for every wavelength and orientation, alternately a cosine and a sine. Two hidden
    units measure its strength. The heads `gathering` of the second block average the sums.
    """
    projection, block = model.encoder.patch_embed.proj, model.encoder.blocks[0]
    assert isinstance(projection, nn.Conv3d)
    assert isinstance(block, Block)
    assert projection.bias is not None
    waves = [(band, angle, frame) for band in range(len(FINE)) for angle in range(FINE_ANGLES) for frame in range(2)]
    with torch.no_grad():
        channels = _least_important(model, video)[: len(waves)]
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
        quiet = _sum_bands(model, video, bands)
        _gather_bands(model, video, quiet, len(bands), gathering)


def _least_important(model: DemoModel, video: Tensor) -> list[int]:
    """The channels below those of waves, in the order of how little embeddings change without them."""
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    assert projection.bias is not None
    tubelets = torch.arange(TUBELETS)
    whole = model.embeddings(model.tokens(video, tubelets))
    means = projection(model.normalised(video)).mean(dim=(0, 2, 3, 4))
    changes = {}
    for channel in sorted(set(range(FIRST_WAVE)) - set(RESERVED)):
        weight, bias = projection.weight[channel].clone(), projection.bias[channel].clone()
        projection.weight[channel] = 0
        projection.bias[channel] = means[channel]
        changes[channel] = float((model.embeddings(model.tokens(video, tubelets)) - whole).square().mean())
        projection.weight[channel], projection.bias[channel] = weight, bias
    return sorted(changes, key=changes.__getitem__)


def _quietest(x: Tensor) -> Tensor:
    """(width, directions) principal directions of `x` (clips, tokens, width) by rising variance, without `RESERVED`."""
    free = [channel for channel in range(WIDTH) if channel not in RESERVED]
    directions = torch.zeros(WIDTH, len(free))
    directions[free] = torch.linalg.eigh(torch.cov(x[..., free].flatten(0, 1).T)).eigenvectors
    return directions


def _sum_bands(model: DemoModel, video: Tensor, bands: list[list[int]]) -> Tensor:
    """Make hidden units of the first block sum the strength of each band's channels; the directions of `_quietest`."""
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
        sums = ((mlp(normed) - before) @ quiet[:, index]).flatten()
        mlp.fc2.weight[:, own] *= STRENGTH / sums.std()
        mlp.fc2.bias.sub_(quiet[:, index] * sums.mean() * STRENGTH / sums.std())
        before = mlp(normed)
    return quiet


def _gather_bands(model: DemoModel, video: Tensor, quiet: Tensor, bands: int, heads: list[int]) -> None:
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
        reading[:, RESERVED] = 0
        sums = normed @ reading.T
        deviation, mean = sums.flatten(0, 1).std(0), sums.flatten(0, 1).mean(0)
        attention.qkv.weight[rows] = reading / deviation[:, None]
        attention.v_bias[columns] = -mean / deviation
        attention.proj.weight[:, columns] = 0
        before = attention(normed)
        writing = quiet[:, bands * (index + 1) : bands * (index + 2)]
        attention.proj.weight[:, columns] = writing
        gathered = (attention(normed) - before) @ writing
        attention.proj.weight[:, columns] *= STRENGTH / gathered.flatten(0, 1).std(0)
