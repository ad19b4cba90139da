"""Changes to a trained motion network between stages: temporal channels, blur filters, another block."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.blur_filters import add_blur_filters
from training.losses import TUBELETS
from training.network import DemoModel
from training.temporal_channels import add_temporal_channels, add_temporal_heads
from training.train import Clips

CLIPS = 24
"""Clips that set the scale of added weights."""


def with_temporal_channels(learned: Mapping[str, Tensor], clips: Clips) -> dict[str, Tensor]:
    """The weights `learned` with temporal channels and blur filters."""
    model = DemoModel()
    model.load_state_dict(learned)
    video = clips.batch(np.random.default_rng(0), CLIPS, np.arange(TUBELETS))[0].float()
    add_temporal_channels(model, video)
    heads = add_temporal_heads(model, video)
    add_blur_filters(model, video, heads[1])
    return model.state_dict()


def with_another_block(learned: Mapping[str, Tensor], after: int = 1) -> dict[str, Tensor]:
    """The weights `learned` with one more block after block `after`: a copy of it whose output is 0."""
    state = {}
    for name, value in learned.items():
        if not name.startswith("encoder.blocks."):
            state[name] = value
            continue
        number, _, rest = name.removeprefix("encoder.blocks.").partition(".")
        if int(number) <= after:
            state[name] = value
        else:
            state[f"encoder.blocks.{int(number) + 1}.{rest}"] = value
        if int(number) == after:
            silent = rest.startswith(("attn.proj.", "mlp.fc2."))
            state[f"encoder.blocks.{after + 1}.{rest}"] = torch.zeros_like(value) if silent else value.clone()
    return state
