"""The encoder of an autoencoder among the optional networks."""

from typing import Any

from export.autoencoder_network import load_autoencoder
from export.configs import stage_model
from export.exporter import Exporter
from export.manifest import AUTOENCODER_MODEL
from export.optional import OptionalNetwork, noise
from export.repository import Transaction
from export.source import Checkpoint
from video.measures.picture_form import SIDE


class Autoencoder(OptionalNetwork):
    """The model `frame_autoencoder`, which `video_decode` asks for the latents of measured frames."""

    key = "autoencoder"
    model = AUTOENCODER_MODEL

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._loaded = load_autoencoder(checkpoint.directory)
        self._name = checkpoint.name

    def entry(self) -> dict[str, Any]:
        return {"model": self.model, "source": self._name, "latents": list(self._loaded.shape)}

    def write(self, exporter: Exporter, transaction: Transaction) -> None:
        example = noise(2, SIDE, SIDE, 3)
        # Logarithms of variances are tens: errors are shares of the largest value.
        exporter.write(self._loaded.network, self.model, "FRAMES", ["LATENTS"], example, relative=True)
        channels, height, width = self._loaded.shape
        sizes = {"side": SIDE, "channels": channels, "height": height, "width": width}
        stage_model(transaction, self.model, "frame_autoencoder", **sizes)
