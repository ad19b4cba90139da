"""What is trained: one encoder for both networks, with their heads, and layers that only training has.

The encoder sees clips at half their size in patches of 16 x 16; the networks that are saved see them whole in patches
of 32 x 32, whose weights take means of 2 x 2 pixels. It is the same function.
"""

import torch
from torch import Tensor, nn

from export.motion_network import Encoder, Head, PatchEmbedding
from export.random_weights import IMAGE_MEAN, IMAGE_STD, sine_cosine_halves
from training.light import LEVELS, LIGHT
from training.moves import LABELS

WIDTH = 168
"""One of the table's waves goes round in 7.01 tokens, a row: at 192 none did, and no layer could tell columns apart."""
DEPTH = 4
HEAD_DEPTH = 2
HEAD_POSITIONS = 241
PATCH = (2, 32, 32)
SMALL_PATCH = (2, 16, 16)
ROWS = 7
COURSE = 6
"""What `training.losses.course_of` tells of a pair of frames."""


class DemoModel(nn.Module):
    """The encoder, the labels' layer, the scores' head; and layers for the motion, which are thrown away later."""

    mean: Tensor
    std: Tensor

    def __init__(self, depth: int = DEPTH) -> None:
        super().__init__()
        self.encoder = Encoder(WIDTH, depth, PATCH)
        self.encoder.patch_embed = PatchEmbedding(WIDTH, SMALL_PATCH)
        self.classifier = nn.Linear(WIDTH, len(LABELS))
        self.head = Head(WIDTH, HEAD_DEPTH, 3, HEAD_POSITIONS)
        self.head.pos_embed.copy_(torch.from_numpy(sine_cosine_halves(HEAD_POSITIONS, WIDTH))[None])
        self.motion = nn.Linear(WIDTH, 5)
        self.course = nn.Linear(WIDTH, COURSE)
        self.light = nn.Linear(WIDTH, 2 * LIGHT)
        self.clip_course = nn.Linear(WIDTH, 2 * COURSE)
        self.levels = nn.Linear(WIDTH, LEVELS)
        self.early_levels = nn.Linear(WIDTH, LEVELS)
        self.amounts = nn.Linear(WIDTH, 3)
        self.early_flow = nn.Linear(WIDTH, 2)
        self.fine_motion = nn.Linear(WIDTH, 5)
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
        return self.layers(video, tubelets)[-1]

    def layers(self, video: Tensor, tubelets: Tensor, places: Tensor | None = None) -> list[Tensor]:
        """What each block makes of the tokens: the last are `tokens`.

        `places` (clips, places) says which of the 49 patches of every pair of frames are looked at, if not all.
        """
        x = self.patches(video, tubelets)
        if places is not None:
            x = at_places(x.unflatten(1, (-1, ROWS * ROWS)), places).flatten(1, 2)
        layers = []
        for block in self.encoder.blocks:
            x = block(x)
            layers.append(x)
        return layers

    def patches(self, video: Tensor, tubelets: Tensor) -> Tensor:
        """What the first block gets of all of them, positions included."""
        positions = self.encoder.positions.reshape(-1, ROWS * ROWS, WIDTH)[tubelets].flatten(0, 1)
        return self.encoder.patch_embed(self.normalised(video)) + positions

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


def at_places(values: Tensor, places: Tensor) -> Tensor:
    """(clips, tubelets, places, channels) of `values` (clips, tubelets, 49, channels) at `places` (clips, places)."""
    index = places[:, None, :, None].expand(-1, values.shape[1], -1, values.shape[-1])
    return values.gather(2, index)
