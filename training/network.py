"""The model that is trained: one encoder with the heads of both networks, and auxiliary layers for training.

The encoder takes clips of 112 x 112 in patches of 16 x 16. The saved networks compute the same function on clips of
224 x 224 in patches of 32 x 32, whose weights average 2 x 2 pixels.
"""

import torch
from torch import Tensor, nn

from export.motion_network import Encoder, Head, PatchEmbedding
from export.random_weights import IMAGE_MEAN, IMAGE_STD, sine_cosine_halves
from training.light import LEVELS, LIGHT
from training.moves import LABELS

WIDTH = 168
"""At this width one wave of the position table has a period of 7.01 tokens, a row of patches; at 192 none had, and no
layer could tell columns apart."""
DEPTH = 4
HEAD_DEPTH = 2
HEAD_POSITIONS = 241
PATCH = (2, 32, 32)
SMALL_PATCH = (2, 16, 16)
ROWS = 7
CAMERA_MOTION = 6
"""Values of `training.losses.camera_motion_of` for a pair of frames."""


class DemoModel(nn.Module):
    """The encoder, the classifier of labels, the head of scores, and auxiliary layers that are not saved."""

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
        self.camera_motion = nn.Linear(WIDTH, CAMERA_MOTION)
        self.light = nn.Linear(WIDTH, 2 * LIGHT)
        self.clip_camera_motion = nn.Linear(WIDTH, 2 * CAMERA_MOTION)
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
        """(clips, tokens, width) tokens of `video` (clips, 2 * tubelets, 112, 112, 3) from 0 to 255.

        `tubelets` (tubelets,) are the indices of these pairs of frames among the eight of a clip.
        """
        return self.layers(video, tubelets)[-1]

    def layers(self, video: Tensor, tubelets: Tensor, places: Tensor | None = None) -> list[Tensor]:
        """The output of every block, each (clips, tokens, width); the last one is `tokens`.

        `places` (clips, places) are the patches to use of the 49 of every pair of frames; without it, all.
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
        """(clips, tokens, width) input of the first block, with positions, for all patches."""
        positions = self.encoder.positions.reshape(-1, ROWS * ROWS, WIDTH)[tubelets].flatten(0, 1)
        return self.encoder.patch_embed(self.normalised(video)) + positions

    def normalised(self, video: Tensor) -> Tensor:
        """(clips, 3, frames, 112, 112) of `video` (clips, frames, 112, 112, 3)."""
        return video.permute(0, 4, 1, 2, 3).contiguous().sub_(self.mean).div_(self.std)

    def embeddings(self, tokens: Tensor) -> Tensor:
        """(clips, width) embeddings of `tokens`, as the encoder computes them."""
        return self.encoder.fc_norm(tokens.mean(1))

    def scores(self, embeddings: Tensor) -> Tensor:
        """(videos, 3) logits of embeddings (videos, segments, width); scores are three times their sigmoid."""
        x = torch.cat([self.head.cls_token.expand(len(embeddings), -1, -1), embeddings], dim=1)
        x = x + self.head.pos_embed[:, : x.shape[1]]
        for block in self.head.blocks:
            x = block(x)
        return self.head.final_layer(x[:, 0])


def at_places(values: Tensor, places: Tensor) -> Tensor:
    """(clips, tubelets, places, channels) of `values` (clips, tubelets, 49, channels) at `places` (clips, places)."""
    index = places[:, None, :, None].expand(-1, values.shape[1], -1, values.shape[-1])
    return values.gather(2, index)
