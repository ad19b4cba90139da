"""What a network that has learned without gets in addition: a sense of time and eyes for focus, or another block."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.blur_filters import put_fine_waves
from training.losses import TUBELETS
from training.network import DemoModel
from training.temporal_channels import put_looking_heads, put_temporal_channels
from training.train import Clips

CLIPS = 24
"""So many say how strong what is added has to be."""


def with_temporal_channels(learned: Mapping[str, Tensor], clips: Clips) -> dict[str, Tensor]:
    """The state of the model that has `learned`, with both."""
    model = DemoModel()
    model.load_state_dict(learned)
    video = clips.batch(np.random.default_rng(0), CLIPS, np.arange(TUBELETS))[0].float()
    put_temporal_channels(model, video)
    heads = put_looking_heads(model, video)
    put_fine_waves(model, video, heads[1])
    return model.state_dict()


def with_another_block(learned: Mapping[str, Tensor], after: int = 1) -> dict[str, Tensor]:
    """The state with one more block behind block `after`: a copy of it that says nothing yet."""
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
