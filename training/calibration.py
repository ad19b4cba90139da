"""Calibration of the classifier's biases, so that a target share of each kind of move is reported."""

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
"""Target share of each kind's labels to report; a higher one also raises false reports."""
MOST = 2.0
"""Largest shift of a bias."""
BATCH = 20


def calibrate(state: dict[str, Tensor], shards: Sequence[Shard]) -> dict[str, Tensor]:
    """The state of a `DemoModel` with calibrated biases; both directions of a kind get the same shift."""
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
    """Logits and labels, both (clips, labels), of the camera clips, which are every second sample."""
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
