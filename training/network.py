"""What is trained: one encoder for both networks, with their heads, and layers that only training has.

The encoder sees clips at half their size in patches of 16 x 16; the networks that are saved see them whole in patches
of 32 x 32, whose weights take means of 2 x 2 pixels. It is the same function.
"""

import math

import torch
from torch import Tensor, nn

from export.motion_network import Block, Encoder, Head, PatchEmbedding
from export.recipe import IMAGE_MEAN, IMAGE_STD, sine_cosine_halves
from training.moves import LABELS

WIDTH = 192
DEPTH = 4
HEAD_DEPTH = 2
HEAD_POSITIONS = 241
PATCH = (2, 32, 32)
SMALL_PATCH = (2, 16, 16)
ROWS = 7
COURSE = 6
"""What `training.losses.course_of` tells of a pair of frames."""
WAVELENGTHS = (5.0, 8.0, 13.0, 22.0)
ANGLES = 6
FIRST_WAVE = WIDTH - 4 * len(WAVELENGTHS) * ANGLES
"""The channel from which on there are waves, four each."""


class Student(nn.Module):
    """The encoder, the labels' layer, the scores' head; and layers for the motion, which are thrown away later."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(WIDTH, DEPTH, PATCH)
        self.encoder.patch_embed = PatchEmbedding(WIDTH, SMALL_PATCH)
        self.classifier = nn.Linear(WIDTH, len(LABELS))
        self.head = Head(WIDTH, HEAD_DEPTH, 3, HEAD_POSITIONS)
        self.head.pos_embed.copy_(torch.from_numpy(sine_cosine_halves(HEAD_POSITIONS, WIDTH))[None])
        self.motion = nn.Linear(WIDTH, 5)
        self.course = nn.Linear(WIDTH, COURSE)
        self.clip_course = nn.Linear(WIDTH, 2 * COURSE)
        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1, 1) * 255 for values in (IMAGE_MEAN, IMAGE_STD))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02 if module.out_features < WIDTH else 0.05)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.cls_token, std=0.02)

    def tokens(self, video: Tensor, tubelets: Tensor) -> Tensor:
        """(clips, tokens, width) of `video` (clips, 2 * tubelets, 112, 112, 3) from 0 to 255.

        `tubelets` (tubelets,) says which of a clip's eight pairs of frames these are.
        """
        x = self.normalised(video)
        positions = self.encoder.positions.reshape(-1, ROWS * ROWS, WIDTH)[tubelets].flatten(0, 1)
        x = self.encoder.patch_embed(x) + positions
        for block in self.encoder.blocks:
            x = block(x)
        return x

    def normalised(self, video: Tensor) -> Tensor:
        """(clips, 3, frames, 112, 112) of `video` (clips, frames, 112, 112, 3)."""
        return video.permute(0, 4, 1, 2, 3).contiguous().sub_(self.mean).div_(self.std)

    def embeddings(self, tokens: Tensor) -> Tensor:
        """(clips, width), as the encoder has them."""
        return self.encoder.fc_norm(tokens.mean(1))

    def scores(self, embeddings: Tensor) -> Tensor:
        """(videos, 3) raw scores of embeddings (videos, segments, width); three times their sigmoid are the scores."""
        x = torch.cat([self.head.cls_token.expand(len(embeddings), -1, -1), embeddings], dim=1)
        x = x + self.head.pos_embed[:, : x.shape[1]]
        for block in self.head.blocks:
            x = block(x)
        return self.head.final_layer(x[:, 0])


def start_from_motion_energy(student: Student, video: Tensor) -> None:
    """Give the first layers filters that see motion, so that learning need not find them.

    Half of the channels are pairs of waves, a cosine and a sine, for four wavelengths and six orientations in each
    frame of a pair; the first hidden layer adds and subtracts those of the two frames, which tells how far the wave has
    moved (E. H. Adelson and J. R. Bergen, Spatiotemporal energy models for the perception of motion, 1985). They are
    the upper channels, where the table of positions is all but constant, and strong, or it would pass for motion.
    `video` (clips, 16, 112, 112, 3) from 0 to 255 says how strong each channel would be.
    """
    size = SMALL_PATCH[1]
    line = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    window = torch.cos(math.pi * y / size) * torch.cos(math.pi * x / size)
    brightness = torch.tensor([0.3, 0.6, 0.1])
    projection = student.encoder.patch_embed.proj
    assert isinstance(projection, nn.Conv3d)
    # What is left: colours and brightness of the two frames, as patterns that mean nothing yet.
    weight = torch.randn_like(projection.weight) / math.sqrt(projection.weight[0].numel())
    strength = torch.full((WIDTH,), 0.5)
    waves = [(wavelength, angle) for wavelength in WAVELENGTHS for angle in range(ANGLES)]
    for index, (wavelength, angle) in enumerate(waves):
        direction = angle * math.pi / ANGLES
        phase = 2 * math.pi / wavelength * (x * math.cos(direction) + y * math.sin(direction))
        for part, wave in enumerate((torch.cos(phase), torch.sin(phase))):
            pattern = wave * window
            pattern = pattern - pattern.mean()
            for frame in range(2):
                kernel = torch.zeros_like(weight[0])
                kernel[:, frame] = brightness[:, None, None] * pattern
                weight[FIRST_WAVE + 4 * index + 2 * frame + part] = kernel
    strength[FIRST_WAVE:] = 3.0
    assert projection.bias is not None
    block = student.encoder.blocks[0]
    assert isinstance(block, Block)
    with torch.no_grad():
        projection.weight.copy_(weight)
        projection.bias.zero_()
        found = projection(student.normalised(video))
        scale = strength / (found.std(dim=(0, 2, 3, 4)) + 1e-3)
        projection.weight.mul_(scale[:, None, None, None, None])
        projection.bias[FIRST_WAVE:] = -student.encoder.positions[:, FIRST_WAVE:].mean(0)
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
