"""Checkpoints with random weights, the same on every machine.

Tensors have the names and shapes of the two published checkpoints. Scores of these weights mean nothing, but the whole
path runs without a download and can be compared with reference figures.

Values of a tensor `name` of shape `shape`, with `n` standard normal values in float32 from
`numpy.random.default_rng([seed, crc32(name)])`:

- the weight of a normalisation: `1 + 0.1 n`
- a name that ends in "bias": `0.1 n`
- a weight of two or more axes: `n / sqrt(prod(shape[1:]))`
- any other tensor (tokens): `0.5 n`

Constants (`targets_norm`, `image_mean`, `image_std`, `pos_embed`) have the published values.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from video.clips import CLIP_FRAMES, FRAME_SIZE

Shapes = Iterator[tuple[str, tuple[int, ...]]]
Tensors = dict[str, NDArray[np.float32]]

CAMERA_LABELS = (
    "arc_left", "arc_right", "dolly_in", "dolly_out", "pan_left", "pan_right", "pedestal_down", "pedestal_up",
    "roll_left", "roll_right", "static", "tilt_down", "tilt_up", "truck_left", "truck_right", "undefined",
    "zoom_in", "zoom_out", "pov", "shake", "track",
)  # fmt: skip
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "VideoMAEImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": FRAME_SIZE},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": FRAME_SIZE, "width": FRAME_SIZE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": IMAGE_MEAN,
    "image_std": IMAGE_STD,
}


def write_motion_checkpoint(
    directory: Path,
    seed: int = 0,
    *,
    width: int = 768,
    depth: int = 12,
    head_depth: int = 4,
    patch: int = 16,
    use_sigmoid: bool = False,
) -> None:
    """Write a motion predictor (`config.json`, `model.safetensors`) into `directory`.

    The defaults are the published size, 115.4 M parameters; `width` must be a multiple of 24 (12 and 8 heads), and 224
    one of `patch`, the pixels of a patch's side.
    """
    tensors = {name: draw(name, shape, seed) for name, shape in _motion_shapes(width, depth, head_depth, patch)}
    tensors["targets_norm"] = np.full((1, 3), 3, np.float32)
    tensors["backbone.image_mean"] = np.array(IMAGE_MEAN, np.float32).reshape(1, 1, 3, 1, 1)
    tensors["backbone.image_std"] = np.array(IMAGE_STD, np.float32).reshape(1, 1, 3, 1, 1)
    tensors["head.pos_embed"] = sine_cosine_halves(241, width)[None]
    write_checkpoint(directory, tensors, {"config.json": motion_config(use_sigmoid=use_sigmoid)})


def write_camera_checkpoint(
    directory: Path,
    seed: int = 0,
    *,
    width: int = 1024,
    depth: int = 24,
    heads: int = 16,
    patch: int = 16,
    labels: tuple[str, ...] = CAMERA_LABELS,
) -> None:
    """Write a camera classifier (`config.json`, `preprocessor_config.json`, `model.safetensors`) into `directory`.

    The defaults are the published size, 303.9 M parameters; 224 must be a multiple of `patch`.
    """
    tensors = {name: draw(name, shape, seed) for name, shape in classifier_shapes(width, depth, len(labels), patch)}
    files = {
        "config.json": camera_config(labels, width=width, depth=depth, heads=heads, patch=patch),
        "preprocessor_config.json": PREPROCESSOR,
    }
    write_checkpoint(directory, tensors, files)


def motion_config(*, use_sigmoid: bool) -> dict[str, Any]:
    """The `config.json` of a motion predictor."""
    return {
        "num_frames": CLIP_FRAMES,
        "output_dim": 3,
        "use_checkpoint": False,
        "use_sigmoid": use_sigmoid,
        "drop_prob": 0.0,
        "targets_norm": [3, 3, 3],
    }


def camera_config(labels: Sequence[str], *, width: int, depth: int, heads: int, patch: int = 16) -> dict[str, Any]:
    """The `config.json` of a camera classifier."""
    return {
        "architectures": ["VideoMAEForVideoClassification"],
        "model_type": "videomae",
        "image_size": FRAME_SIZE,
        "patch_size": patch,
        "num_channels": 3,
        "num_frames": CLIP_FRAMES,
        "tubelet_size": 2,
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "qkv_bias": True,
        "use_mean_pooling": True,
        "problem_type": "multi_label_classification",
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def write_checkpoint(
    directory: Path,
    tensors: Mapping[str, NDArray[Any]],
    files: dict[str, dict[str, Any]],
    tensors_file: str = "model.safetensors",
) -> None:
    """Write `tensors` as `tensors_file` into `directory`, which is created, and the JSON `files` beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), directory / tensors_file, metadata={"format": "pt"})
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=2) + "\n")


def draw(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """The values of a tensor, by the formulas above."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    normal = rng.standard_normal(shape).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        return 1 + np.float32(0.1) * normal
    if name.endswith("bias"):
        return np.float32(0.1) * normal
    if len(shape) >= 2 and name.endswith("weight"):
        return normal / np.float32(math.sqrt(math.prod(shape[1:])))
    return np.float32(0.5) * normal


def sine_cosine_halves(positions: int, width: int) -> NDArray[np.float32]:
    """(positions, width) float32: sines of position / 10000^(i / (width / 2)), then the cosines of the same."""
    angle = np.arange(positions)[:, None] / 10000 ** (np.arange(width // 2) / (width / 2))[None]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    """The tensors of a linear layer."""
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def norm(name: str, width: int) -> Shapes:
    """The tensors of a normalisation."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _block(prefix: str, width: int, *, separate_biases: bool) -> Shapes:
    yield from norm(f"{prefix}.norm1", width)
    yield f"{prefix}.attn.qkv.weight", (3 * width, width)
    if separate_biases:
        yield f"{prefix}.attn.q_bias", (width,)
        yield f"{prefix}.attn.v_bias", (width,)
    else:
        yield f"{prefix}.attn.qkv.bias", (3 * width,)
    yield from linear(f"{prefix}.attn.proj", width, width)
    yield from norm(f"{prefix}.norm2", width)
    yield from linear(f"{prefix}.mlp.fc1", width, 4 * width)
    yield from linear(f"{prefix}.mlp.fc2", 4 * width, width)


def _motion_shapes(width: int, depth: int, head_depth: int, patch: int) -> Shapes:
    yield "pad_token", (1, width)
    yield "backbone.model.model.patch_embed.proj.weight", (width, 3, 2, patch, patch)
    yield "backbone.model.model.patch_embed.proj.bias", (width,)
    for index in range(depth):
        yield from _block(f"backbone.model.model.blocks.{index}", width, separate_biases=True)
    yield from norm("backbone.model.model.fc_norm", width)
    yield "head.cls_token", (1, 1, width)
    for index in range(head_depth):
        yield from _block(f"head.blocks.{index}", width, separate_biases=False)
    yield from linear("head.final_layer.linear.0", width, width)
    yield from linear("head.final_layer.linear.2", width, 3)


def classifier_shapes(width: int, depth: int, labels: int, patch: int = 16) -> Shapes:
    """The tensors of a `VideoMAEForVideoClassification`."""
    yield "videomae.embeddings.patch_embeddings.projection.weight", (width, 3, 2, patch, patch)
    yield "videomae.embeddings.patch_embeddings.projection.bias", (width,)
    for index in range(depth):
        layer = f"videomae.encoder.layer.{index}"
        yield f"{layer}.attention.attention.q_bias", (width,)
        yield f"{layer}.attention.attention.v_bias", (width,)
        for part in ("query", "key", "value"):
            yield f"{layer}.attention.attention.{part}.weight", (width, width)
        yield from linear(f"{layer}.attention.output.dense", width, width)
        yield from linear(f"{layer}.intermediate.dense", width, 4 * width)
        yield from linear(f"{layer}.output.dense", 4 * width, width)
        yield from norm(f"{layer}.layernorm_before", width)
        yield from norm(f"{layer}.layernorm_after", width)
    yield from norm("fc_norm", width)
    yield from linear("classifier", width, labels)
