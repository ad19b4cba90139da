"""The optional networks: an image encoder and an action classifier.

Each is read first, so that errors of a checkpoint cost seconds, and written into the transaction afterwards.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from export.action_network import load_actions
from export.configs import stage_model
from export.exporter import Exporter
from export.frame_network import load_frames
from export.manifest import ACTIONS_MODEL, FRAMES_MODEL, Manifest
from export.repository import Transaction
from export.source import Checkpoint
from video.clips import CLIP_SHAPE

if TYPE_CHECKING:
    from export.calibration import Clips, VideoClips
    from export.int8 import Int8Network

CALIBRATION_FRAMES = 64
"""The most frames of a video that an image encoder is calibrated or checked on."""


class OptionalNetwork(ABC):
    """A network that the repository has only if it was exported."""

    key: str
    """Its key in `weights.json`."""
    model: str
    """Its model in the repository."""

    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """What `weights.json` says of it."""

    def add_to(self, manifest: Manifest) -> None:
        """Name it in the content of `weights.json`."""
        manifest[self.key] = self.entry()

    @abstractmethod
    def write(self, exporter: Exporter, transaction: Transaction) -> None:
        """Write its graphs, plans and configurations."""

    def int8(self) -> "Int8Network | None":
        """How it is quantized; None if it has no 8-bit form."""
        return None


class Frames(OptionalNetwork):
    """The image encoder."""

    key = "frames"
    model = FRAMES_MODEL

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._loaded = load_frames(checkpoint.directory)
        self._name = checkpoint.name

    def entry(self) -> dict[str, Any]:
        height, width = self._loaded.preprocessing.frame_size
        return {
            "model": self.model,
            "source": self._name,
            "architecture": self._loaded.architecture,
            "dimensions": self._loaded.dimensions,
            "height": height,
            "width": width,
            "preprocessing": self._loaded.preprocessing.content(),
        }

    def write(self, exporter: Exporter, transaction: Transaction) -> None:
        height, width = self._loaded.preprocessing.frame_size
        example = noise(3, height, width, 3)
        exporter.write(self._loaded.network, self.model, "FRAME_CLIPS", ["FRAME_EMBEDDINGS"], example)
        sizes = {"height": height, "width": width, "dimensions": self._loaded.dimensions}
        stage_model(transaction, self.model, "frame_encoder", **sizes)

    def int8(self) -> "Int8Network":
        from export.int8 import Int8Network
        from export.int8_answers import Embeddings

        transformer = self._loaded.architecture != "resnet"
        return Int8Network(self.model, self._calibration, Embeddings(), transformer=transformer)

    def _calibration(self, video: "VideoClips") -> "Clips":
        height, width = self._loaded.preprocessing.frame_size
        frames = video.camera.reshape(-1, *video.camera.shape[2:])
        chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), CALIBRATION_FRAMES)).astype(int)]
        return np.stack([np.asarray(Image.fromarray(frame).resize((width, height))) for frame in chosen])


class Actions(OptionalNetwork):
    """The action classifier."""

    key = "actions"
    model = ACTIONS_MODEL

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._loaded = load_actions(checkpoint.directory)
        self._name = checkpoint.name

    def entry(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "source": self._name,
            "labels": self._loaded.labels,
            "shortest_edge": self._loaded.shortest_edge,
        }

    def write(self, exporter: Exporter, transaction: Transaction) -> None:
        outputs = ["ACTION_PROBABILITIES"]
        exporter.write(self._loaded.network, self.model, "ACTION_CLIPS", outputs, noise(2, *CLIP_SHAPE))
        stage_model(transaction, self.model, "action_classifier", labels=len(self._loaded.labels))
        lines = "".join(f"{label}\n" for label in self._loaded.labels)
        transaction.stage_text(f"{self.model}/labels.txt", lines)

    def int8(self) -> "Int8Network":
        from export.int8 import Int8Network
        from export.int8_answers import Probabilities

        return Int8Network(self.model, lambda video: video.camera, Probabilities(), transformer=True)


OPTIONAL: dict[str, type[Frames] | type[Actions]] = {"frames": Frames, "actions": Actions}


def noise(*shape: int) -> torch.Tensor:
    """A uint8 tensor of noise, the same each time."""
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
