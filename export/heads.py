"""Trained heads over the embeddings of another network, as `python -m training.heads` writes them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.configs import stage_model
from export.errors import ExportError
from export.exporter import Exporter
from export.head_network import write_head
from export.manifest import HEAD_MODEL, Manifest
from export.optional import OptionalNetwork
from export.repository import Transaction
from training.heads.saved import load_head

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Head(OptionalNetwork):
    """One head: EMBEDDINGS float32 (frames or segments, width) to PROBABILITIES float32 (1, labels)."""

    def __init__(self, name: str, directory: Path, report: Callable[[str], None]) -> None:
        if not NAME.fullmatch(name):
            rule = "a small letter, and up to 39 small letters, digits and underscores"
            raise ExportError(f"{name!r} cannot be the name of a head, which has {rule}")
        self.name = name
        self._report = report
        self.key = self.model = HEAD_MODEL + name
        self._directory = directory.expanduser().resolve()
        self._head = load_head(self._directory)

    def entry(self) -> dict[str, Any]:
        config = self._head.config
        return {
            "model": self.model,
            "source": f"directory {self._directory}",
            "kind": config.kind,
            "on": config.on,
            "encoder": config.encoder_weights,
            "dimensions": config.width,
            "labels": list(config.labels),
            "multi_label": config.multi_label,
        }

    def add_to(self, manifest: Manifest) -> None:
        manifest["heads"] = manifest.get("heads", {}) | {self.name: self.entry()}

    def write(self, exporter: Exporter, transaction: Transaction) -> None:  # noqa: ARG002 - it has one form
        config = self._head.config
        difference = write_head(self._head, transaction.stage(f"{self.model}/1/model.onnx"))
        self._report(f"{self.model}: model.onnx differs from PyTorch by {difference:.1e}")
        sizes = {"dimensions": config.width, "labels": len(config.labels)}
        stage_model(transaction, self.model, "head", name=self.model, **sizes)
        transaction.stage_text(f"{self.model}/labels.txt", "".join(f"{label}\n" for label in config.labels))
