"""First weights: layers that detect motion and its place in the picture, so that training need not find them.

The upper half of the channels are motion filters; the lower half keeps the position table visible.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from export.motion_network import BACKBONE_HEADS, Block
from training.network import ROWS, SMALL_PATCH, WIDTH, DemoModel

WAVELENGTHS = (5.0, 8.0, 13.0, 22.0)
ANGLES = 6
FIRST_WAVE = WIDTH - 4 * len(WAVELENGTHS) * ANGLES
"""The first channel of the waves, which have four channels each."""
GATHERING = {1: 2.0, 2: 1.0}
"""Blocks whose heads attend to regions, and how much their heads prefer tokens near in time."""
SHARPNESS = 2.0
"""How much a head prefers its region, in logits."""


def start(model: DemoModel, video: Tensor) -> None:
    """Set the first weights of an untrained model in place.

    `video` (clips, 16, 112, 112, 3) from 0 to 255 sets the scale of each channel.
    """
    start_from_motion_energy(model, video)
    start_from_regions(model)


def wave_in_patch(wavelength: float, direction: float, wave: Callable[[Tensor], Tensor]) -> Tensor:
    """(3, 16, 16) a filter for a wave of brightness in one frame of a patch, which falls off towards the edges.

    `wavelength` is in pixels, `direction` in radians; `wave` is `torch.cos` or `torch.sin`.
    """
    size = SMALL_PATCH[1]
    line = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    phase = 2 * math.pi / wavelength * (x * math.cos(direction) + y * math.sin(direction))
    pattern = wave(phase) * torch.cos(math.pi * y / size) * torch.cos(math.pi * x / size)
    return torch.tensor([0.3, 0.6, 0.1])[:, None, None] * (pattern - pattern.mean())


def start_from_motion_energy(model: DemoModel, video: Tensor) -> None:
    """Set motion filters in the first layers of `model`.

    The upper channels are pairs of waves, a cosine and a sine, for four wavelengths and six orientations in each frame
    of a pair. The first hidden layer adds and subtracts those of the two frames, which measures how far the wave moved
    (E. H. Adelson and J. R. Bergen, Spatiotemporal energy models for the perception of motion, 1985). In these channels
    the position table is almost constant, and the filters are strong, or positions would look like motion. `video`
    (clips, 16, 112, 112, 3) from 0 to 255 sets the scale of each channel.
    """
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    # The other channels are random filters.
    weight = torch.randn_like(projection.weight) / math.sqrt(projection.weight[0].numel())
    strength = torch.full((WIDTH,), 0.5)
    waves = [(wavelength, angle) for wavelength in WAVELENGTHS for angle in range(ANGLES)]
    for index, (wavelength, angle) in enumerate(waves):
        for part, wave in enumerate((torch.cos, torch.sin)):
            for frame in range(2):
                kernel = torch.zeros_like(weight[0])
                kernel[:, frame] = wave_in_patch(wavelength, angle * math.pi / ANGLES, wave)
                weight[FIRST_WAVE + 4 * index + 2 * frame + part] = kernel
    strength[FIRST_WAVE:] = 3.0
    assert projection.bias is not None
    block = model.encoder.blocks[0]
    assert isinstance(block, Block)
    with torch.no_grad():
        projection.weight.copy_(weight)
        projection.bias.zero_()
        found = projection(model.normalised(video))
        scale = strength / (found.std(dim=(0, 2, 3, 4)) + 1e-3)
        projection.weight.mul_(scale[:, None, None, None, None])
        projection.bias[FIRST_WAVE:] = -model.encoder.positions[:, FIRST_WAVE:].mean(0)
        hidden = block.mlp.fc1.weight
        row = 0
        for first in range(FIRST_WAVE, WIDTH, 4):
            for one in (first, first + 1):
                for other in (first + 2, first + 3):
                    for sign in (1.0, -1.0):
                        for polarity in (1.0, -1.0):
                            hidden[row].mul_(0.3)
                            hidden[row, one] += polarity
                            hidden[row, other] += polarity * sign
                            row += 1


def start_from_regions(model: DemoModel) -> None:
    """Make each head of some blocks attend to one region of the picture: halves, edges, corners and the middle.

    Zoom, roll and pan differ in the direction of motion by region, which heads without regions would average out. The
    key is a least-squares fit from the position table to how far a token is inside the region; with the query's bias it
    is the logit. Two slow waves of the table in keys and queries make tokens near in time count more.
    """
    positions = model.encoder.positions.double()
    number = torch.arange(len(positions))
    column, row = number % ROWS, number // ROWS % ROWS
    left, right, middle, edges = (torch.cos(2 * math.pi * (column - at) / ROWS).double() for at in (1.5, 4.5, 3.0, 6.5))
    down = (row - (ROWS - 1) / 2).double() / (ROWS - 1) * 2
    regions = [
        left, right, middle, edges, -down, down, -1.5 * down.abs(), 1.5 * down.abs(),
        left - down, right - down, left + down, right + down,
    ]  # fmt: skip
    table = torch.cat([positions[:, :FIRST_WAVE], torch.ones(len(positions), 1).double()], dim=1)
    inside = torch.linalg.solve(table.T @ table + torch.eye(table.shape[1]), table.T @ torch.stack(regions, dim=1))
    size = WIDTH // BACKBONE_HEADS
    periods = 2 * math.pi * 10000 ** (2 * torch.arange(WIDTH // 2) / WIDTH)
    slow = [2 * int((periods - period).abs().argmin()) for period in (110, 220)]
    waves = [channel + part for channel in slow for part in range(2)]
    with torch.no_grad():
        for index, near in GATHERING.items():
            block = model.encoder.blocks[index]
            assert isinstance(block, Block)
            query, key, _ = block.attn.qkv.weight.split(WIDTH)
            for head in range(BACKBONE_HEADS):
                first = head * size
                used = slice(first, first + 1 + len(waves))
                query[used], key[used] = 0, 0
                key[first, :FIRST_WAVE] = inside[:FIRST_WAVE, head].float()
                block.attn.q_bias[first] = SHARPNESS * 2 * math.sqrt(size)
                for place, channel in enumerate(waves, start=first + 1):
                    key[place, channel], query[place, channel] = 1.5, near / 1.5 * math.sqrt(size)
