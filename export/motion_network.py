"""The motion predictor: a VideoMAEv2 backbone for each segment of 16 frames and a transformer head for each video.

Modules have the names of the published checkpoint, so that its tensors load by name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.attention import AttentionForm, attend, multi_head_attention
from export.checkpoint import load_exactly, read_json, read_tensors
from export.errors import ExportError
from export.fp16 import Fp16Network, PatchProduct
from video.clips import CLIP_FRAMES, FRAME_SIZE

BACKBONE_HEADS = 12
HEAD_HEADS = 8


class Attention(nn.Module):
    """Multi-head self-attention over (batch, tokens, width).

    With `separate_biases`, as in the backbone, queries and values have biases and keys have none.
    """

    def __init__(self, width: int, heads: int, *, separate_biases: bool) -> None:
        super().__init__()
        self.heads = heads
        self.form: AttentionForm | None = None
        self.separate_biases = separate_biases
        self.qkv = nn.Linear(width, 3 * width, bias=not separate_biases)
        if separate_biases:
            self.q_bias = nn.Parameter(torch.zeros(width))
            self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        bias: Tensor = self.qkv.bias
        if self.separate_biases:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        if self.form is AttentionForm.OPENVINO_8_BITS:  # three layers, each of which is quantized by itself
            width = self.proj.in_features
            parts = (slice(first, first + width) for first in (0, width, 2 * width))
            layers = (functional.linear(x, self.qkv.weight[part], bias[part]) for part in parts)
            q, k, v = (layer.unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in layers)
            return self.proj(attend(self.form, q, k, v).transpose(1, 2).flatten(2))
        qkv = functional.linear(x, self.qkv.weight, bias)
        if self.form is AttentionForm.ONNX_RUNTIME:  # without a transpose
            query, key, value = qkv.chunk(3, dim=-1)
            return self.proj(multi_head_attention(query, key, value, self.heads))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # PyTorch's own where it computes; a form only where the network is exported for GPUs or 8 bits.
        form = self.form
        attended = attend(form, q, k, v) if form else functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them; the hidden layer is four times as wide."""

    def __init__(self, width: int, gelu: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x), approximate=self.gelu))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, *, eps: float, gelu: str, separate_biases: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads, separate_biases=separate_biases)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, gelu)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def sine_cosine_positions(tokens: int, width: int) -> Tensor:
    """(tokens, width) float32: even channels sine, odd cosine, of position / 10000^(2 * (channel // 2) / width)."""
    exponent = 2 * (torch.arange(width, dtype=torch.float64) // 2) / width
    angle = torch.arange(tokens, dtype=torch.float64)[:, None] / 10000**exponent
    angle[:, 0::2] = angle[:, 0::2].sin()
    angle[:, 1::2] = angle[:, 1::2].cos()
    return angle.float()


class PatchEmbedding(nn.Module):
    """Video (segments, 3, 16, 224, 224) to tokens (segments, tokens, width), one for each patch."""

    def __init__(self, width: int, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Conv3d(3, width, patch, stride=patch)

    def forward(self, video: Tensor) -> Tensor:
        return self.proj(video).flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    """VideoMAEv2: normalised video (segments, 3, 16, 224, 224) to embeddings (segments, width)."""

    positions: Tensor

    def __init__(self, width: int, depth: int, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(width, patch)
        self.blocks = nn.ModuleList(
            Block(width, BACKBONE_HEADS, eps=1e-6, gelu="none", separate_biases=True) for _ in range(depth)
        )
        self.fc_norm = nn.LayerNorm(width, eps=1e-6)
        tokens = (CLIP_FRAMES // patch[0]) * (FRAME_SIZE // patch[1]) * (FRAME_SIZE // patch[2])
        self.register_buffer("positions", sine_cosine_positions(tokens, width), persistent=False)

    def forward(self, video: Tensor) -> Tensor:
        x = self.patch_embed(video.to(self.positions.dtype)) + self.positions
        for block in self.blocks:
            x = block(x)
        # Always in float32: a sum over 1568 tokens loses too much in fp16.
        return self.fc_norm(x.float().mean(1))


class Backbone(Fp16Network):
    """MOTION_CLIPS uint8 (segments, 16, 224, 224, 3), RGB, to SEGMENT_EMBEDDINGS float32 (segments, width)."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, width: int, depth: int, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("image_mean", torch.zeros(1, 1, 3, 1, 1))
        self.register_buffer("image_std", torch.ones(1, 1, 3, 1, 1))
        self.model = nn.ModuleDict({"model": Encoder(width, depth, patch)})

    @property
    def encoder(self) -> Encoder:
        """The encoder, which the checkpoint calls model.model."""
        return cast(Encoder, self.model["model"])

    def forward(self, motion_clips: Tensor) -> Tensor:
        # First, because TensorRT can only cast uint8.
        video = motion_clips.float().permute(0, 1, 4, 2, 3) / 255
        video = (video - self.image_mean) / self.image_std
        return self.encoder(video.transpose(1, 2))

    def to_fp16(self, dtype: torch.dtype = torch.float16) -> None:
        """Convert the encoder to `dtype`; the normalisation of frames and the mean over tokens stay float32."""
        embedding = self.encoder.patch_embed
        assert isinstance(embedding.proj, nn.Conv3d)
        embedding.proj = PatchProduct(embedding.proj)
        self.encoder.to(dtype)
        self.encoder.fc_norm.float()

    def use_attention(self, form: AttentionForm) -> int:
        """Export attention in this form from now on; the number of layers with attention."""
        layers = [module for module in self.encoder.modules() if isinstance(module, Attention)]
        for attention in layers:
            attention.form = form
        return len(layers)


class FinalLayer(nn.Module):
    """Linear, SiLU, Linear: the final cls token (1, width) to raw scores (1, outputs)."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Head(nn.Module):
    """SEGMENT_EMBEDDINGS (segments, width) of one video to its final cls token and raw scores."""

    pos_embed: Tensor

    def __init__(self, width: int, depth: int, outputs: int, positions: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("pos_embed", torch.zeros(1, positions, width))
        self.blocks = nn.ModuleList(
            Block(width, HEAD_HEADS, eps=1e-5, gelu="tanh", separate_biases=False) for _ in range(depth)
        )
        self.final_layer = FinalLayer(width, outputs)

    def forward(self, segment_embeddings: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([self.cls_token, segment_embeddings[None]], dim=1)
        x = x + self.pos_embed[:, : x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.final_layer(x[:, 0]), x[:, 0]


class MotionPredictor(nn.Module):
    """The whole checkpoint; `backbone` is exported as it is, the rest through `ScoredHead`."""

    targets_norm: Tensor

    def __init__(self, shape: "MotionShape") -> None:
        super().__init__()
        # The published code pads the shorter videos of a batch with this token; a single video never needs it.
        self.pad_token = nn.Parameter(torch.zeros(1, shape.width))
        self.register_buffer("targets_norm", torch.ones(1, shape.outputs))
        self.backbone = Backbone(shape.width, shape.depth, shape.patch)
        self.head = Head(shape.width, shape.head_depth, shape.outputs, shape.positions)


class ScoredHead(nn.Module):
    """SEGMENT_EMBEDDINGS (segments, width) to MOTION_SCORES (1, 3) and VIDEO_EMBEDDING (1, width)."""

    targets_norm: Tensor

    def __init__(self, predictor: MotionPredictor, *, use_sigmoid: bool) -> None:
        super().__init__()
        self.head = predictor.head
        self.register_buffer("targets_norm", predictor.targets_norm)
        self.use_sigmoid = use_sigmoid

    def forward(self, segment_embeddings: Tensor) -> tuple[Tensor, Tensor]:
        scores, embedding = self.head(segment_embeddings)
        if self.use_sigmoid:
            scores = torch.sigmoid(scores) * self.targets_norm
        return scores, embedding


@dataclass(frozen=True)
class MotionShape:
    """The sizes of a motion predictor, taken from the shapes of its tensors."""

    width: int
    depth: int
    head_depth: int
    outputs: int
    positions: int
    patch: tuple[int, int, int]

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "MotionShape":
        try:
            patch = tensors["backbone.model.model.patch_embed.proj.weight"].shape
            outputs = tensors["head.final_layer.linear.2.bias"].shape[0]
            positions = tensors["head.pos_embed"].shape[1]
        except (KeyError, IndexError) as error:
            raise ExportError(f"motion checkpoint: tensor {error.args[0]} is missing") from error
        return cls(
            width=patch[0],
            depth=_count_blocks(tensors, "backbone.model.model.blocks."),
            head_depth=_count_blocks(tensors, "head.blocks."),
            outputs=outputs,
            positions=positions,
            patch=(patch[2], patch[3], patch[4]),
        )


def _count_blocks(tensors: dict[str, Tensor], prefix: str) -> int:
    return 1 + max((int(name[len(prefix) :].split(".")[0]) for name in tensors if name.startswith(prefix)), default=-1)


def load_motion(directory: Path) -> tuple[Backbone, ScoredHead]:
    """Read a motion predictor from a checkpoint directory.

    Returns the two networks in evaluation mode. `ExportError` names the tensor or key that is not supported.
    """
    config = read_json(directory / "config.json")
    tensors = read_tensors(directory)
    shape = MotionShape.of(tensors)
    if config.get("num_frames", CLIP_FRAMES) != CLIP_FRAMES:
        found = config["num_frames"]
        raise ExportError(f"motion checkpoint: num_frames is {found}, the server's segments have {CLIP_FRAMES}")
    if shape.outputs != 3:
        raise ExportError(f"motion checkpoint: {shape.outputs} outputs, expected 3 (camera, object, dynamics)")
    if shape.width % BACKBONE_HEADS or shape.width % HEAD_HEADS:
        heads = f"{BACKBONE_HEADS} and {HEAD_HEADS} heads"
        raise ExportError(f"motion checkpoint: width {shape.width} cannot be divided among {heads}")
    predictor = MotionPredictor(shape)
    load_exactly(predictor, tensors, "motion checkpoint")
    predictor.eval()
    head = ScoredHead(predictor, use_sigmoid=bool(config.get("use_sigmoid", False)))
    return predictor.backbone, head.eval()
