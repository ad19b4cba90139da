"""Directories of trained heads: `model.safetensors` and `config.json`, written whole or not at all."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from export.checkpoint import load_exactly, read_json, read_tensors
from export.errors import ExportError
from training.heads.kinds import KINDS, HeadKind, Shape, probabilities_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
REVISION = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")


@dataclass(frozen=True)
class HeadConfig:
    """What `config.json` says of a head."""

    kind: str
    """A key of `KINDS`."""
    on: str
    """`frames` or `segments`: what it has embeddings of."""
    encoder: str
    """The network that made the embeddings: a repository, or whatever else the table names."""
    revision: str | None
    """The commit of the encoder's repository; None if it is not from one."""
    frames: int
    """The most frames, or segments, that a video had."""
    width: int
    """Values of an embedding."""
    labels: tuple[str, ...]
    """In the order of the probabilities."""
    multi_label: bool
    """Whether each label has a probability of its own; else all add up to 1."""

    @property
    def encoder_weights(self) -> str:
        """The encoder as the outputs `WEIGHTS` and tables of scores name it."""
        return f"{self.encoder}@{self.revision}" if self.revision else self.encoder

    @staticmethod
    def encoder_of(weights: str) -> tuple[str, str | None]:
        """The parts `encoder` and `revision` of weights as tables of scores name them."""
        match = REVISION.fullmatch(weights)
        return (match["name"], match["revision"]) if match else (weights, None)

    @property
    def shape(self) -> Shape:
        """The sizes of the network."""
        return Shape(self.width, len(self.labels), self.multi_label)


class SavedHead(nn.Module):
    """A trained head for one video at a time."""

    def __init__(self, head: HeadKind, config: HeadConfig) -> None:
        super().__init__()
        self.head = head
        self.config = config

    def forward(self, embeddings: Tensor) -> Tensor:
        """Probabilities (1, labels) float32 of a video's embeddings (frames or segments, width) float32."""
        return probabilities_of(self.head(embeddings[None]), multi_label=self.config.multi_label)


def load_head(directory: Path) -> SavedHead:
    """Read a directory that `save_head` wrote; the head is in evaluation mode.

    Raises `ExportError`, in one sentence, if a file is missing or damaged, or if they do not fit together.
    """
    config = _config(read_json(directory / CONFIG), directory / CONFIG)
    head = KINDS[config.kind](config.shape)
    load_exactly(head, read_tensors(directory), f"head {directory}")
    return SavedHead(head, config).eval()


def _config(content: dict[str, Any], path: Path) -> HeadConfig:
    types: dict[str, type | tuple[type, ...]] = {
        "kind": str,
        "on": str,
        "encoder": str,
        "revision": (str, type(None)),
        "frames": int,
        "width": int,
        "labels": list,
        "multi_label": bool,
    }
    for name, expected in types.items():
        if name not in content:
            raise ExportError(f"{path} is not that of a head: it has no {name}")
        if not isinstance(content[name], expected):
            raise ExportError(f"{path}: {name} is {content[name]!r}")
    config = HeadConfig(**{name: content[name] for name in types} | {"labels": tuple(content["labels"])})
    if config.kind not in KINDS:
        raise ExportError(f"{path}: there is no kind {config.kind!r}, only {', '.join(KINDS)}")
    if config.on not in ("frames", "segments"):
        raise ExportError(f"{path}: on is {config.on!r}, expected frames or segments")
    if config.frames < 1 or config.width < 1:
        raise ExportError(f"{path}: {config.frames} frames of {config.width} values are not embeddings")
    labels = config.labels
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(isinstance(each, str) and each for each in labels):
        raise ExportError(f"{path}: labels is {content['labels']!r}, expected two different names or more")
    return config


def save_head(head: HeadKind, config: HeadConfig, directory: Path) -> None:
    """Write a head into an existing directory. Raises OSError."""
    # safetensors refuses tensors that share memory, such as slices.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in head.state_dict().items()}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(asdict(config), indent=2, ensure_ascii=False)
    (directory / CONFIG).write_text(text + "\n", encoding="utf-8")


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A new directory to fill, which becomes `path` when the block ends; if the block raises, it is removed.

    `path` must not exist, or be empty. Raises OSError.
    """
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed process
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.iterdir():
            _flush(file)
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
