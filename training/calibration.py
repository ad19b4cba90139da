"""From which logit on a label is reported: so that a wanted share of every kind of move is found."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.dataset import Shard
from training.evaluation import kind_of
from training.losses import TUBELETS
from training.moves import LABELS
from training.network import DemoModel

WANTED = {
    "pan": 0.94, "tilt": 0.96, "roll": 0.93, "zoom": 0.93, "static": 0.97, "truck": 0.86, "pedestal": 0.88,
    "dolly": 0.87, "arc": 0.84, "shake": 0.9, "undefined": 0.35,
}  # fmt: skip
"""Of each kind's labels, the share to find. More, and more are reported that are not there."""
MOST = 2.0
"""No bias is shifted further."""
BATCH = 20


def calibrate(state: dict[str, Tensor], shards: Sequence[Shard]) -> dict[str, Tensor]:
    """The state of a `DemoModel` with the classifier's biases shifted, both directions of a kind alike."""
    model = DemoModel()
    model.load_state_dict(state)
    logits, labels = _answers(model.eval(), shards)
    shifts = torch.zeros(len(LABELS))
    for kind, wanted in WANTED.items():
        own = np.array([kind_of(label) == kind for label in LABELS])
        there = logits[:, own][labels[:, own]]
        if len(there):
            shifts[own] = float(np.clip(-np.quantile(there, 1 - wanted), -MOST, MOST))
    return state | {"classifier.bias": state["classifier.bias"] + shifts}


def _answers(model: DemoModel, shards: Sequence[Shard]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(samples, labels) of all clips for the labels, which every second sample is."""
    logits, labels = [], []
    with torch.no_grad():
        for shard in shards:
            for first in range(1, len(shard.frames), 2 * BATCH):
                some = slice(first, first + 2 * BATCH, 2)
                video = torch.from_numpy(np.ascontiguousarray(shard.frames[some])).float()
                tokens = model.tokens(video, torch.arange(TUBELETS))
                logits.append(model.classifier(model.embeddings(tokens)).numpy())
                labels.append(shard.labels[some])
    return np.concatenate(logits), np.concatenate(labels)
