"""The layers of an `AutoencoderKL` encoder, with the names of diffusers' checkpoints.

All of them take and return float32. Only `Residual` has an fp16 form, which holds nearly all of the arithmetic: its
convolutions read what a normalisation has made small. What reads the sums between the blocks, which exceed the range of
fp16 in some checkpoints, stays float32.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6
"""Of every normalisation."""


class Residual(nn.Module):
    """A block of two convolutions: (frames, inputs, height, width) to (frames, outputs, height, width)."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, EPSILON)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs, EPSILON)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, value: Tensor) -> Tensor:
        hidden = value
        for norm, convolution in ((self.norm1, self.conv1), (self.norm2, self.conv2)):
            normalised = functional.silu(norm(hidden)).to(convolution.weight.dtype)
            hidden = convolution(normalised).float()
        return hidden + (value if self.conv_shortcut is None else self.conv_shortcut(value))

    def convert(self, dtype: torch.dtype) -> None:
        """Compute the two convolutions in `dtype`."""
        self.conv1.to(dtype)
        self.conv2.to(dtype)


class Halving(nn.Module):
    """(frames, width, height, width) to half the height and width; padded below and on the right alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, value: Tensor) -> Tensor:
        return self.conv(functional.pad(value, (0, 1, 0, 1)))


class DownBlock(nn.Module):
    """Residual blocks, and a `Halving` in all blocks but the last."""

    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, *, halves: bool) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * layers
        self.resnets = nn.ModuleList(Residual(before, after, groups) for before, after in pairwise(widths))
        self.downsamplers = nn.ModuleList([Halving(outputs)] if halves else [])

    def forward(self, value: Tensor) -> Tensor:
        for layer in [*self.resnets, *self.downsamplers]:
            value = layer(value)
        return value


class Attention(nn.Module):
    """Attention with one head between the places of a feature map (frames, width, height, width), added to it."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, width, EPSILON)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, value: Tensor) -> Tensor:
        places = self.group_norm(value).flatten(2).transpose(1, 2)
        query, key = self.to_q(places) * places.shape[-1] ** -0.5, self.to_k(places)
        weights = (query @ key.transpose(1, 2)).softmax(-1)
        attended = self.to_out[0](weights @ self.to_v(places))
        return value + attended.transpose(1, 2).unflatten(2, value.shape[2:])


class MidBlock(nn.Module):
    """Residual, attention if there is any, residual."""

    def __init__(self, width: int, groups: int, *, attends: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(Residual(width, width, groups) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(width, groups)] if attends else [])

    def forward(self, value: Tensor) -> Tensor:
        value = self.resnets[0](value)
        for attention in self.attentions:
            value = attention(value)
        return self.resnets[1](value)


class Encoder(nn.Module):
    """Pixels float32 (frames, 3, height, width) to (frames, outputs, height / 2^k, width / 2^k).

    k is the number of `widths`, the channels of each block, less one.
    """

    def __init__(self, widths: tuple[int, ...], layers: int, groups: int, outputs: int, *, attends: bool) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        last = len(widths) - 1
        self.down_blocks = nn.ModuleList(
            DownBlock(widths[max(0, index - 1)], width, layers, groups, halves=index < last)
            for index, width in enumerate(widths)
        )
        self.mid_block = MidBlock(widths[-1], groups, attends=attends)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPSILON)
        self.conv_out = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        value = self.conv_in(pixels)
        for block in self.down_blocks:
            value = block(value)
        return self.conv_out(functional.silu(self.conv_norm_out(self.mid_block(value))))
