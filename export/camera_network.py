"""The camera classifier: any `VideoMAEForVideoClassification` checkpoint that transformers can load."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from transformers import VideoMAEForVideoClassification
from transformers.utils import logging as transformers_logging

from export.attention import AttentionForm
from export.checkpoint import read_json, read_tensors, refuse_tensors
from export.errors import ExportError
from export.fp16 import Fp16Network, PatchProduct
from video.clips import CLIP_FRAMES, FRAME_SIZE

BILINEAR = 2


class CameraClassifier(Fp16Network):
    """CAMERA_CLIPS uint8 (clips, 16, 224, 224, 3), RGB, to CAMERA_PROBABILITIES float32 (clips, labels)."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: VideoMAEForVideoClassification, scale: float, mean: list[float], std: list[float]
    ) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 1, 3, 1, 1))

    def forward(self, camera_clips: Tensor) -> Tensor:
        # First, because TensorRT can only cast uint8.
        video = camera_clips.float().permute(0, 1, 4, 2, 3) * self.scale
        video = ((video - self.mean) / self.std).to(self.network.videomae.dtype)
        # The rest of transformers' forward, always in float32: a sum over 1568 tokens loses too much in fp16.
        tokens = self.network.videomae(video).last_hidden_state.float()
        pooled = tokens[:, 0] if self.network.fc_norm is None else self.network.fc_norm(tokens.mean(1))
        return torch.sigmoid(self.network.classifier(pooled))

    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert the encoder to `dtype`; the normalisation of frames and the layers after the encoder stay float32."""
        embedding: Any = self.network.videomae.embeddings.patch_embeddings
        embedding.projection = PatchProduct(embedding.projection)
        encoder: nn.Module = self.network.videomae
        encoder.to(dtype)

    def use_attention(self, form: AttentionForm) -> int:
        """Export attention in this form from now on; the number of layers with attention."""
        self.network.set_attn_implementation(form.value)
        return self.network.config.num_hidden_layers


@dataclass(frozen=True)
class CameraCheckpoint:
    """A classifier, and what the server must know of its checkpoint."""

    network: CameraClassifier
    labels: list[str]
    """One name for each output, in order."""
    shortest_edge: int
    """Pixels of a frame's shorter side after resizing, before the centre crop to 224 x 224."""


def load_camera(directory: Path) -> CameraCheckpoint:
    """Read a classifier from a checkpoint directory; `ExportError` names the key or tensor that is not supported."""
    config = read_json(directory / "config.json")
    if config.get("model_type") != "videomae":
        raise ExportError(f"camera checkpoint: model_type is {config.get('model_type')!r}, expected 'videomae'")
    for key, served in (("num_frames", CLIP_FRAMES), ("image_size", FRAME_SIZE), ("num_channels", 3)):
        if config.get(key, served) != served:
            raise ExportError(f"camera checkpoint: {key} is {config[key]}, the server's clips have {served}")
    labels = _labels(config)
    scale, mean, std, shortest_edge = _preprocessing(read_json(directory / "preprocessor_config.json"))
    return CameraCheckpoint(CameraClassifier(_network(directory), scale, mean, std).eval(), labels, shortest_edge)


def _network(directory: Path) -> VideoMAEForVideoClassification:
    transformers_logging.disable_progress_bar()
    tensors = read_tensors(directory)
    # transformers types it as a network, but output_loading_info makes it a pair.
    loaded_pair: Any = VideoMAEForVideoClassification.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    network, loading = loaded_pair
    refuse_tensors("is missing", loading["missing_keys"], "camera checkpoint")
    refuse_tensors("is left over", loading["unexpected_keys"], "camera checkpoint")
    refuse_tensors("has another shape than config.json says", map(str, loading["mismatched_keys"]), "camera checkpoint")
    # Some releases of transformers drop q_bias and v_bias without an error: compare the sums of all values.
    stored = sum(tensor.double().sum().item() for name, tensor in tensors.items())
    loaded = sum(tensor.double().sum().item() for tensor in network.parameters())
    if abs(stored - loaded) > 1e-6 * max(1.0, abs(stored)):
        raise ExportError(
            "camera checkpoint: transformers did not load every tensor (the sum of all values is "
            f"{loaded:.6f}, stored {stored:.6f}); install the version that pyproject.toml pins"
        )
    return network


def _labels(config: dict[str, Any]) -> list[str]:
    id2label = config.get("id2label")
    if not id2label:
        raise ExportError("camera checkpoint: config.json has no id2label")
    try:
        return [str(id2label[str(index)]) for index in range(len(id2label))]
    except KeyError as error:
        raise ExportError(f"camera checkpoint: id2label has no label {error}") from error


def _preprocessing(config: dict[str, Any]) -> tuple[float, list[float], list[float], int]:
    def refuse(key: str, expected: object) -> NoReturn:
        raise ExportError(f"camera checkpoint: preprocessor_config.json has {key} {config.get(key)!r}, not {expected}")

    if config.get("resample", BILINEAR) != BILINEAR:
        refuse("resample", f"{BILINEAR} (bilinear)")
    for step in ("do_resize", "do_center_crop", "do_normalize"):
        if not config.get(step, True):
            refuse(step, True)
    crop, size = config.get("crop_size", {}), config.get("size", {})
    if (crop.get("height"), crop.get("width")) != (FRAME_SIZE, FRAME_SIZE):
        refuse("crop_size", f"{FRAME_SIZE} x {FRAME_SIZE}")
    shortest_edge = size.get("shortest_edge")
    if not isinstance(shortest_edge, int) or shortest_edge < FRAME_SIZE:
        refuse("size", f"a shortest_edge of at least {FRAME_SIZE}")
    scale = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    mean, std = config.get("image_mean"), config.get("image_std")
    if not (isinstance(mean, list) and len(mean) == 3):
        refuse("image_mean", "three numbers")
    if not (isinstance(std, list) and len(std) == 3):
        refuse("image_std", "three numbers")
    return scale, mean, std, shortest_edge
