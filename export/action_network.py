"""The action classifier: a `VideoMAEForVideoClassification` checkpoint whose clips have one label each."""

from pathlib import Path

import torch
from torch import Tensor

from export.camera_network import CameraCheckpoint, CameraClassifier, load_camera
from export.checkpoint import read_json
from export.errors import ExportError

WHAT = "actions checkpoint"


class ActionClassifier(CameraClassifier):
    """ACTION_CLIPS uint8 (clips, 16, 224, 224, 3), RGB, to ACTION_PROBABILITIES float32 (clips, labels)."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """A probability for each label: one label holds, so they add up to 1."""
        return torch.softmax(logits, dim=-1)


def load_actions(directory: Path) -> CameraCheckpoint:
    """Read a classifier from a checkpoint directory; `ExportError` names the key or tensor that is not supported."""
    problem = read_json(directory / "config.json").get("problem_type")
    if problem not in (None, "single_label_classification"):
        raise ExportError(f"{WHAT}: problem_type is {problem!r}, not single_label_classification")
    return load_camera(directory, ActionClassifier, WHAT)
